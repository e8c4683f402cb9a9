"""What is known of base models, and where they come from."""
