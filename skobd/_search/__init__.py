"""Meta-estimators: which level, which candidate and which inputs, by cross-validation."""
