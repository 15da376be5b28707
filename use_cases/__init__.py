"""One page per problem; copy one to add yours (docs/your-own-use-case.md)."""
