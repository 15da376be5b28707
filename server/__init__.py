"""The doors, each thin and with one composition root, and the commands that deploy to them."""
