"""Output for the user: lines, bars, tables and events."""
