"""Traffic for both scorers: what a business would send them, and later the truth."""
