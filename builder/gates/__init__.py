"""One module a gate, each of the form of `builder.evaluation.gate.Gate`; `table` lists them.

A gate imports what it judges by from `builder.evaluation`, which imports no gate. `parity` compares
prompts rather than answers: the parity stage and `builder.ollama.verification` call it themselves.
"""
