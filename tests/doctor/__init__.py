"""Tests of builder/doctor."""
