"""Archives: a persona and its build as one file, which `pack` writes and `unpack` checks."""
