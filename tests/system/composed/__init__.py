"""The composed stack, from outside: it imports nothing of the product."""
