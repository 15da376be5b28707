"""Customers and offers: what is kept of them, and how an offer is obtained through the stream."""
