"""One adapter each against its real server."""
