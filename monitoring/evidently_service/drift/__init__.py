"""Drift statistics and the verdict that is made of them."""
