"""A persona's rows: read, checked, encoded."""
