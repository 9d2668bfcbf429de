"""What is asked of a running service, staged or live, and what the right answers are."""
