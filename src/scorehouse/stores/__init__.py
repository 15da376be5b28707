"""The prediction store: what it does, in SQLite and in MongoDB."""
