"""Tests of builder/chat."""
