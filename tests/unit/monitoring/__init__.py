"""The monitor's parts, without a server."""
