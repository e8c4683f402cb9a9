"""Tests of builder/engine."""
