"""Imports conversations from elsewhere as rows, with one module for each format."""
