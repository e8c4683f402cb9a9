"""Tests of builder.evaluation."""
