"""Scorehouse's core: from a record to a prediction that is on disk before it is answered."""
