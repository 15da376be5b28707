"""Bundles: everything that a run contains for scoring, monitoring and reporting."""
