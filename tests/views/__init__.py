"""Tests of builder.views."""
