"""The pages and everything that they need: forms, limits, visitors, texts."""
