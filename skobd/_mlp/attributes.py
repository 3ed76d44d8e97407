"""Attributes of a fitted estimator: every one is read from the one `Fitted` value."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._net.network import Array, Indices, Mask
from .feature_groups import columns_by_group
from .fitted import Fitted
from .names import feature_names


def _read(path: str, doc: str, assign: str = "") -> Any:
    """Make a documented property of ``_fitted``; AttributeError before fit, for `hasattr`.

    ``assign`` is the kind of arrays that an assignment replaces, see `PrunedNetwork.with_arrays`.
    """
    get = attrgetter(path)

    def read(self: Any) -> Any:
        return get(self._get_fitted())

    def write(self: Any, values: Any) -> None:
        fitted = self._get_fitted()
        self._fitted = replace(fitted, pruned=fitted.pruned.with_arrays(assign, values))

    return property(read, write if assign else None, doc=doc)


class FittedAttributes:
    """Attributes that can be read from a fitted estimator."""

    _fitted: Fitted

    def _get_fitted(self) -> Fitted:
        try:
            return vars(self)["_fitted"]
        except KeyError:
            raise AttributeError(f"This {type(self).__name__} is not fitted yet.") from None

    coefs_: Sequence[Array] = _read(
        "pruned.coefs", "Weights of each layer, read-only; assign new ones as a whole.", "coefs"
    )
    intercepts_: Sequence[Array] = _read(
        "pruned.intercepts", "Intercepts of each layer, read-only as ``coefs_`` are.", "intercepts"
    )
    coef_masks_: tuple[Mask, ...] = _read("pruned.coef_masks", "True where a weight survives.")
    used_features_: Indices = _read(
        "pruned.used_inputs", "Indices of inputs that predictions depend on."
    )
    n_weights_: int = _read("n_weights", "Number of surviving weights; intercepts are not counted.")
    n_weights_total_: int = _read(
        "n_prunable", "Weights of the dense network, counted in the same way."
    )
    sparsity_: float = _read("sparsity", "Fraction of the weights deleted.")
    prune_fraction_: float = _read("gone", "Fraction deleted of what ``granularity`` deletes.")
    stop_reason_: str = _read(
        "stop_reason", 'Reason why ``prune_fraction="auto"`` went no further, or empty.'
    )
    pruning_history_: dict[str, NDArray[Any]] = _read(
        "history",
        "Record of the rounds of pruning, by column.",
    )
    regrowth_history_: dict[str, NDArray[Any]] = _read(
        "regrowth_history", "Record of the cycles of regrowth, by column."
    )
    retrain_alpha_: float | None = _read(
        "retrain_alpha", "Penalty of the last retraining after a deletion; None before any."
    )
    loss_: float = _read("loss", "Objective at the end of training, as the solver saw it.")
    n_iter_: int = _read("n_iter", "Iterations or epochs of the last call.")
    t_: int = _read("state.n_samples_seen", "Training samples seen by the stochastic solvers.")
    out_activation_: str = _read("targets.loss.out_activation", "Name of the output activation.")

    @property
    def feature_importances_(self) -> Array:
        """Summed saliency of each input's weights after the last fit or prune, scaled to sum 1."""
        importances = self._get_fitted().importances
        if importances is None:
            raise AttributeError("feature_importances_ is known after fit or prune.")
        return importances

    @property
    def feature_groups_(self) -> dict[str, Indices]:
        """Indices of the columns of each group, by its name; a lone column is a group."""
        fitted = self._get_fitted()
        return columns_by_group(fitted.group_of, fitted.group_names, feature_names(self))

    @property
    def loss_curve_(self) -> list[float]:
        """Objective after each epoch or iteration of the last call, after at most 1000 earlier."""
        return list(self._get_fitted().state.loss_curve)

    @property
    def best_loss_(self) -> float | None:
        """Lowest loss of any epoch or iteration; None with early stopping."""
        fitted = self._get_fitted()
        if fitted.early_stopping:
            return None
        lowest = fitted.state.lowest_loss
        return lowest if np.isfinite(lowest) else fitted.loss

    @property
    def validation_loss_curve_(self) -> list[float] | None:
        """Loss on the validation data after each epoch, without the penalty."""
        return list(self._get_fitted().state.validation_loss_curve) or None

    @property
    def validation_scores_(self) -> list[float] | None:
        """Score on the validation data after each epoch; None without such data."""
        return list(self._get_fitted().state.validation_scores) or None

    @property
    def best_validation_score_(self) -> float | None:
        """Highest score on validation data after any epoch; None without such data."""
        state = self._get_fitted().state
        return state.highest_validation_score if state.validation_scores else None

    @property
    def n_layers_(self) -> int:
        """Number of layers, the input included."""
        return len(self._get_fitted().pruned.network.layer_sizes)

    @property
    def n_outputs_(self) -> int:
        """Number of output units."""
        return self._get_fitted().pruned.network.layer_sizes[-1]

    def __sklearn_is_fitted__(self) -> bool:
        return "_fitted" in vars(self)

    def get_used_feature_names(self, input_features: Any = None) -> NDArray[Any]:
        """Return the names of the inputs that the predictions depend on.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of all inputs, for a network whose input had none: in a pipeline
            ``pipe[:-1].get_feature_names_out()``, because steps like an imputer return plain
            arrays. None for the names seen in ``fit``.

        Returns
        -------
        names : ndarray of str
            Names from ``input_features`` or ``feature_names_in_``, or else "x0", "x1", ... If
            ``feature_groups`` was a dict, names of the groups, and of the columns outside them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` differ in number from the inputs, or from those seen in ``fit``.
        """
        check_is_fitted(self)
        names, is_used = self._features(input_features)
        return names[is_used]

    def _features(self, input_features: Any = None) -> tuple[NDArray[Any], Mask]:
        """Return the user's names of the inputs, and whether predictions depend on them."""
        names, group_names = feature_names(self, input_features), self._fitted.group_names
        is_used = np.zeros(len(names), dtype=bool)
        is_used[self.used_features_] = True
        if group_names is None:
            return names, is_used
        groups, seen = self.feature_groups_.values(), feature_names(self)
        called = [
            # A column outside all groups has its own name.
            names[columns[0]] if len(columns) == 1 and name == seen[columns[0]] else name
            for name, columns in zip(group_names, groups, strict=True)
        ]
        return np.array(called, dtype=object), np.array([is_used[g].any() for g in groups])
