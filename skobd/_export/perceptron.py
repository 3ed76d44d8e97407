"""Conversion to and from scikit-learn's own perceptrons."""

import copy
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import assert_all_finite, check_is_fitted

from .._net.network import Network
from .._net.pruned import PrunedNetwork

# Attributes of scikit-learn's perceptrons about their training, targets and data.
ATTRIBUTES = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
    "feature_names_in_",
    "classes_",
)


def to_sklearn(
    kind: Any, params: dict[str, Any], attributes: dict[str, Any], pruned: PrunedNetwork
) -> Any:
    """Make a perceptron of scikit-learn's class ``kind`` with the network given.

    Parameters
    ----------
    kind : type
        `MLPClassifier` or `MLPRegressor`.
    params, attributes : dict
        Parameters, of which those of the class are used, and fitted attributes.
    pruned : PrunedNetwork
    """
    mlp, own = kind(), dict(params)
    names = mlp.get_params()
    # Values of the fit, regardless of later calls of `set_params`.
    own["activation"] = pruned.network.activation
    sizes = pruned.network.layer_sizes[1:-1]
    if not np.array_equal(np.ravel(own["hidden_layer_sizes"]), sizes):
        own["hidden_layer_sizes"] = sizes
    if own["learning_rate"] == "cosine":
        # Unknown to scikit-learn, which would refuse to train it further.
        own["learning_rate"] = "constant"
    if own.get("loss", "squared_error") != "squared_error" and "loss" not in names:
        raise ValueError(
            f"MLPRegressor has loss={own['loss']!r} only from scikit-learn 1.7 on: "
            "upgrade scikit-learn, or use to_onnx()."
        )
    mlp.set_params(**{name: copy.deepcopy(own[name]) for name in names if name in own})
    mlp.coefs_ = [coef.copy() for coef in pruned.coefs]
    mlp.intercepts_ = [intercept.copy() for intercept in pruned.intercepts]
    if mlp.early_stopping:
        # A warm start returns to these if no epoch is better.
        mlp._best_coefs = copy.deepcopy(mlp.coefs_)
        mlp._best_intercepts = copy.deepcopy(mlp.intercepts_)
    for name, value in attributes.items():
        setattr(mlp, name, copy.deepcopy(value))
    return mlp


def check_perceptron(kind: Any, mlp: Any, caller: str) -> None:
    """Refuse anything but a fitted perceptron of scikit-learn's class ``kind``."""
    if not isinstance(mlp, kind):
        other = {MLPClassifier: "OBDMLPRegressor", MLPRegressor: "OBDMLPClassifier"}[kind]
        cure = f" (use {other} for it)" if isinstance(mlp, MLPClassifier | MLPRegressor) else ""
        raise TypeError(
            f"{caller}.from_sklearn needs a fitted sklearn.neural_network.{kind.__name__}, got "
            f"{type(mlp).__name__}{cure}; of a pipeline or a search, give the perceptron inside, "
            "such as pipeline[-1]."
        )
    check_is_fitted(mlp, "coefs_", msg="This %(name)s is not fitted: call fit before from_sklearn.")


def network_of(mlp: Any) -> PrunedNetwork:
    """Return the network of a fitted perceptron, without deletions."""
    sizes = (mlp.n_features_in_, *(coef.shape[1] for coef in mlp.coefs_))
    layers = zip(mlp.coefs_, mlp.intercepts_, strict=True)
    theta = np.concatenate([array.ravel() for layer in layers for array in layer])
    assert_all_finite(theta, input_name="coefs_ and intercepts_")
    return PrunedNetwork.dense(Network(sizes, mlp.activation), theta)
