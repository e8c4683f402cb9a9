"""Tests of builder/report."""
