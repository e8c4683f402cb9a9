"""The stages, one module each, and the targets that they make."""
