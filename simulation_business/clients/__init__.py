"""Clients of both scorers."""
