"""What training writes to MLflow, and what is removed from it again."""
