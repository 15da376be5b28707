"""Model quality: measured by outcomes, and estimated before outcomes arrive."""
