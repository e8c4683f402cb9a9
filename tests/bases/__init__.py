"""Tests of builder/bases."""
