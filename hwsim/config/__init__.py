"""Documents composed into typed, checked experiments."""
