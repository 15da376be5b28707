"""The composed stack: the Makefile's targets that start, fill, show and remove it (`python -m stack COMMAND`)."""
