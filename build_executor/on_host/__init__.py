"""What runs on a production host: shipped there, started over SSH, the standard library alone."""
