"""The model registry: which run serves, and what served before."""
