"""Conversations that people have elsewhere, made into rows: one module a format."""
