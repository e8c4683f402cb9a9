"""The rows of a persona: reading, checking and encoding them."""
