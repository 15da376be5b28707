"""From a raw table to a registered run: data, training, search, promotion, and the Prefect flows."""
