"""Merging an adapter into a base, and writing the result as a quantised GGUF."""
