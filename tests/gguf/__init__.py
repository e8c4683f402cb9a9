"""Tests of builder/gguf."""
