"""Tests of builder/training."""
