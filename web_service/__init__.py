"""Insurance's pages for people: an offer for a motor policy, by way of the stream scorer."""
