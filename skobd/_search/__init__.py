"""Meta-estimators that choose levels, candidates and inputs by cross-validation."""
