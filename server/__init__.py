"""The doors: thin, each with one composition root."""
