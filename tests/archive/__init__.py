"""Tests of builder/archive."""
