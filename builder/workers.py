"""The worker processes of heavy stages, by the module that each imports first."""

from __future__ import annotations

UNSLOTH = "builder.training.unsloth"
"""Holds the base, and the model that it trained."""
EXPORT = "builder.gguf.without_gpu"
"""Holds the tokenizer and a few converted tensors at a time, and no GPU."""
LLAMA = "llama_cpp"
"""Holds the finished file."""
