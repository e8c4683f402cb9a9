"""One script a claim in the README."""
