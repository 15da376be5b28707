"""Grafana's dashboards: pages/*.yml, of which `python -m monitoring.grafana.make` makes the JSON that Grafana reads."""
