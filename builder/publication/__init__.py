"""A finished build given to others: its model card, and pushing it to the hub or with Ollama."""
