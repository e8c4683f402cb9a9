"""Tests of builder/gates."""
