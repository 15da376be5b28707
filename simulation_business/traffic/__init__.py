"""The records to send: usual, invalid or drifting, at a steady pace, with a count of what happened."""
