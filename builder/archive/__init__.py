"""A persona and its build as one file: its list, writing it, checking it, unpacking it."""
