"""The clients that send traffic to both scorers and read their answers."""
