"""Tests of builder/publication."""
