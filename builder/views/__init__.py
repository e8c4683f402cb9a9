"""The output of commands, one module for each view."""
