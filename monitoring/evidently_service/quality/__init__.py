"""Model quality: measured on outcomes, and estimated before outcomes arrive."""
