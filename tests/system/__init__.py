"""Black box: these import nothing of the product but what starts it."""
