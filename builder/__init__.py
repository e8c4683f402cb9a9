"""A build system whose targets are Ollama models."""

__version__ = "0.1.0"
