"""The training step and what it needs; what imports torch is for a worker process alone."""
