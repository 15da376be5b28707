"""The monitor's page and its HTTP routes."""
