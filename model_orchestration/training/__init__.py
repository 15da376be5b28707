"""One training: configuration, search, candidates, and the bundle that it writes."""
