"""The gates, one module each, with the names of `builder.evaluation.gate.Gate`; `table` lists them.

Gates import from `builder.evaluation`, which imports no gate. `parity` is different: it compares
prompts, not answers, and the parity stage and `builder.ollama.verification` call it directly.
"""
