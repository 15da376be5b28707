"""Windows of the prediction log: read, saved, evaluated and exported as metrics."""
