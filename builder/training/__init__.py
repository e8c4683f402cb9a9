"""The training step and what it needs; only a worker process imports it."""
