"""The whole house on one machine, without Docker: `make demo`."""
