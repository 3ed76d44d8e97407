"""What the user holds: the estimators."""
