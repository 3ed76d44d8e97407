"""Minimisation of the objective over the surviving parameters."""
