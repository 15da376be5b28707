"""The routes that programs call: predictions, invocations, outcomes, health and metrics."""
