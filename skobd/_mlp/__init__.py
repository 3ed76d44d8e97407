"""The estimators that the user holds."""
