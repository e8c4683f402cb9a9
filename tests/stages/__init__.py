"""Tests of builder/stages."""
