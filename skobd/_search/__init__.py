"""Which level, by cross-validation."""
