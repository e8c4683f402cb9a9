"""The page of a build: one HTML file with the answers, the gates, and how it was built."""
