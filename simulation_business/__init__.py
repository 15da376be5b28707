"""Simulated traffic for both scorers: what a business would send them and, later, the outcomes."""
