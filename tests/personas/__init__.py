"""Tests of the personas that come with the project."""
