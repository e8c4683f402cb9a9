"""Tests of builder.terminal."""
