"""The page of a build: one HTML file that says what was built, what it answers, and how sure."""
