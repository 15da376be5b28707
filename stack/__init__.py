"""The composed stack, as the Makefile's targets start, fill, show and remove it: `python -m stack WHAT`."""
