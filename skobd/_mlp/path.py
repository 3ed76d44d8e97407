"""The pruning path: the networks of the rounds of a fit, from dense to sparse."""

import copy
import time
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._sklearn_compat import without_callback_state
from .fitted import Fitted, history
from .pipelines import last_step, replace_last


class PruningPath(Bunch):
    """The networks after each round, from dense to sparse.

    A `Bunch` made by `OBDMLPClassifier.pruning_path` and `OBDMLPRegressor.pruning_path`. The
    attributes below are its keys.

    Parameters
    ----------
    **kwargs : dict of str -> object
        The keys and their values.

    Attributes
    ----------
    prune_fractions : ndarray of shape (n_steps,)
        Levels; the first, 0, is that of the dense network.
    round, n_weights, sparsity, loss_before, predicted_increase, loss_after_deletion, \
    loss_after_retraining, n_iter : ndarray of shape (n_steps,)
        As in ``pruning_history_``, with the dense network first.
    validation_loss, validation_score : ndarray of shape (n_steps,)
        Loss and score on the validation data, if there are any.
    fit_time : ndarray of shape (n_steps,)
        Seconds from the start of training.
    steps : list
        Result of training after each step.
    estimator : object
        Estimator that `estimator_at` completes.
    own_levels : bool
        Whether the levels come from the estimator's own parameters.
    is_interrupted : bool
        Whether the user interrupted the fit, perhaps before the last level.

    See Also
    --------
    OBDMLPClassifier.pruning_path : Makes a path.
    PruningPathDisplay.from_path : Draws a path.
    PruningSearchCV : Chooses a level by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> path = clf.pruning_path(X, y, prune_fractions=[0.5, 0.8])
    >>> path.n_weights.tolist()
    [35, 18, 7]
    >>> path.estimator_at(1).n_weights_
    18
    >>> path.to_frame()[["prune_fractions", "n_weights"]]
       prune_fractions  n_weights
    0              0.0         35
    1              0.5         18
    2              0.8          7
    """

    def __repr__(self) -> str:
        weights = self["n_weights"]
        return (
            f"PruningPath({len(weights)} networks of {weights[0]} to {weights[-1]} weights, "
            f"keys: {', '.join(self)})"
        )

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for each step.

        Returns
        -------
        frame : DataFrame
            A column for each key that has a number for each step.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas

        columns = {name: values for name, values in self.items() if isinstance(values, np.ndarray)}
        return pandas.DataFrame(columns)

    def estimator_at(self, index: int) -> Any:
        """Return the fitted estimator at a step of the path, without training.

        Parameters
        ----------
        index : int
            Position on the path; negative counts from the sparse end.

        Returns
        -------
        estimator : object
            Estimator with all attributes that ``fit`` sets; its ``prune_fraction`` is the level of
            the step. With the levels of the parameters the last step equals the result of ``fit``,
            bit for bit, and a path to a single level equals a fit in one round. With
            ``n_regrow=0`` every step equals a fit along the levels up to it. A later `partial_fit`
            starts the optimiser afresh, as the path does not keep its state.
        """
        steps: list[Fitted] = self["steps"]
        n_steps = len(steps)
        if not isinstance(index, Integral):
            raise TypeError(f"index must be an integer, got {index!r}.")
        if not -n_steps <= index < n_steps:
            raise IndexError(f"index must be in [{-n_steps}, {n_steps}), got {index}.")
        index %= n_steps
        mlp = copy.copy(last_step(self["estimator"]))
        mlp._fitted = steps[index]
        mlp.prune_fraction = float(self["prune_fractions"][index])
        if self["own_levels"]:
            mlp.n_rounds = index
        return replace_last(self["estimator"], mlp)

    def input_masks(self) -> np.ndarray:
        """Return which inputs of the network have weights left.

        Returns
        -------
        masks : ndarray of bool of shape (n_steps, n_features)
            Masks from dense to sparse.
        """
        return np.array([fitted.pruned.coef_masks[0].any(axis=1) for fitted in self["steps"]])


class PathBuilder:
    """Collector of the networks of a path.

    Parameters
    ----------
    estimator : OBDMLPClassifier or OBDMLPRegressor
        What `PruningPath.estimator_at` completes.
    fractions : sequence of float
        Fractions deleted, above 0, ascending.
    own_levels : bool
        Whether they come from the estimator's parameters.
    """

    def __init__(self, estimator: Any, fractions: Sequence[float], own_levels: bool) -> None:
        self._estimator, self._fractions, self._own_levels = estimator, fractions, own_levels
        self._steps: list[Fitted] = []
        self._seconds: list[float] = []
        self._start = time.perf_counter()

    def add(self, fitted: Fitted) -> None:
        """Add the network of the next level."""
        self._steps.append(fitted)
        self._seconds.append(time.perf_counter() - self._start)

    def built(self, is_interrupted: bool = False) -> PruningPath:
        """Return the path as far as it was reached."""
        template = without_callback_state(copy.copy(self._estimator))
        latest = [fitted.latest for fitted in self._steps if fitted.latest is not None]
        return PruningPath(
            prune_fractions=np.array([0.0, *self._fractions][: len(self._steps)]),
            **history(latest, template.granularity),
            fit_time=np.array(self._seconds),
            steps=self._steps,
            estimator=template,
            own_levels=self._own_levels,
            is_interrupted=is_interrupted,
        )
