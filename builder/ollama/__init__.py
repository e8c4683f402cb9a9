"""The daemon: its client, what it is told, and what it serves."""
