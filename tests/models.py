"""Estimators to be tested, and what is always true of them."""

import hashlib

from skobd import OBDMLPClassifier, OBDMLPRegressor

ESTIMATORS = {"classifier": OBDMLPClassifier, "regressor": OBDMLPRegressor}
SOLVERS = ("adam", "sgd", "lbfgs")


def plain(**params):
    """Parameters of the recipe of the paper, with others: retraining is like dense training.

    For tests that are about something else; those of the default recipe are in
    ``mlp/test_recipe_defaults.py``.
    """
    defaults = {
        "prune_fraction": 0.5,
        "retrain_max_iter": None,
        "retrain_alpha": params.get("alpha", 1e-4),
        "n_regrow": 0,
    }
    return defaults | params


def make(kind, **params):
    """An unfitted estimator that is quick to fit."""
    defaults = {
        "hidden_layer_sizes": (6, 4),
        "max_iter": 10,
        "n_rounds": 3,
        "prune_fraction": 0.8,
        "random_state": 0,
        "learning_rate_init": 0.01,
    }
    return ESTIMATORS[kind](**plain(**defaults | params))


def digest(model):
    """A hash of every bit of the network."""
    arrays = model.coefs_ + model.intercepts_ + model.coef_masks_
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def assert_deleted_are_zero(model):
    """Masks have the shapes of the parameters, and what is deleted is 0."""
    for values, mask in zip(model.coefs_, model.coef_masks_, strict=True):
        assert values.shape == mask.shape
        assert mask.dtype == bool
        assert (values[~mask] == 0).all()
