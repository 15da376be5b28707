"""Customers and offers: what is stored about them, and how the stream prices an offer."""
