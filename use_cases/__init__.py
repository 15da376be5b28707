"""One page for each problem. To add your own, copy one and read docs/your-own-use-case.md."""
