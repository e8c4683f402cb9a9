"""Publishing a finished build: the model card, and pushing to the hub or with Ollama."""
