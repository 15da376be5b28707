"""The pages that people open: the form, the API documentation, the model card."""
