"""Tests of builder/ollama."""
