"""From a record to a prediction: schema, encoder, model and quality figures. Nothing here listens or connects."""
