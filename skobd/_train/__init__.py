"""How the objective is minimised over the surviving parameters."""
