"""A conversation with the built file, through llama-cpp-python and without Ollama."""
