"""Moves the prediction journal of this machine into the store."""
