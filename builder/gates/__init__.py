"""The questions every persona is asked."""
