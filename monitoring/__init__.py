"""Watching a running model: the drift monitor, and what Prometheus and Grafana show of it."""
