"""What every door is made of: a model that can be replaced, a journal, and a way to follow the registry."""
