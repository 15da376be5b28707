"""The training table: read, checked, and joined by outcomes."""
