"""Tests of builder.manifest."""
