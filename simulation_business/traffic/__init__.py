"""The records to send (usual, invalid or drifting), the pace, and the count of what happened to them."""
