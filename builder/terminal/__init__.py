"""What a person sees: lines, bars, tables and events."""
