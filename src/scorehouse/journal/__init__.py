"""The journal of answered predictions on disk, the shipper that moves it into the store, and erasure from both."""
