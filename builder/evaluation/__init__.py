"""The machinery of the gates: what is asked, of which model, and how answers are counted."""
