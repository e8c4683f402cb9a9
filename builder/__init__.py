"""A build system whose targets are Ollama models."""
