"""Insurance's pages for people: a visitor asks for a motor policy, and the stream scorer prices it."""
