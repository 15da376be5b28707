"""Windows of the prediction log: read, kept, evaluated and exported as metrics."""
