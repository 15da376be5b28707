"""Grafana's dashboards: exported JSON in dashboards/, and what checks and formats it."""
