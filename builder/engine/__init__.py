"""What is stale, and how it is built; it knows nothing of models."""
