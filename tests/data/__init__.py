"""Tests of builder/data."""
