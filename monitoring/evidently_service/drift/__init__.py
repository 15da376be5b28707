"""Drift statistics, and the verdict that follows from them."""
