"""Base models: what is known about them, and where they are fetched from."""
