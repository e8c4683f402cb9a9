"""The commands of the command line: each module parses what is typed, and calls."""
