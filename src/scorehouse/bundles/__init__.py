"""Bundles: everything that a run carries for scoring, monitoring and reporting."""
