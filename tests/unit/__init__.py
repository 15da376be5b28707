"""Unit tests, in the folders of what they test: no network, no sleep."""
