"""The stream door."""
