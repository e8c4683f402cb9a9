"""The worker processes of heavy stages, named by the module that each imports first."""

from __future__ import annotations

UNSLOTH = "builder.training.unsloth"
"""Holds the base and the trained model."""
EXPORT = "builder.gguf.libraries"
"""Holds the tokenizer and a few converted tensors."""
LLAMA = "llama_cpp"
"""Holds the finished file."""
