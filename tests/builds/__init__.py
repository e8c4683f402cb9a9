"""Tests of whole builds, which train."""
