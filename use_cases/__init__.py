"""One page per use case; copy one to add yours (docs/your-own-use-case.md)."""
