"""The pruning path: the networks that a fit passes through, from dense to sparse."""

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

    A `Bunch`: what follows are its keys, readable as attributes. Made by
    `OBDMLPClassifier.pruning_path` and `OBDMLPRegressor.pruning_path`.

    Parameters
    ----------
    **kwargs : dict of str -> object
        The keys and their values.

    Attributes
    ----------
    prune_fractions : ndarray of shape (n_steps,)
        The levels; the first, 0, is the dense network's.
    round, n_weights, sparsity, loss_before, predicted_increase, loss_after_deletion, \
    loss_after_retraining, n_iter : ndarray of shape (n_steps,)
        As in ``pruning_history_``, with the dense network first.
    validation_loss, validation_score : ndarray of shape (n_steps,)
        Only where there are validation data.
    fit_time : ndarray of shape (n_steps,)
        Seconds from the start of training.
    steps : list
        What training left after each step.
    estimator : object
        What `estimator_at` completes.
    own_levels : bool
        Whether the levels are those that the estimator's own parameters make.
    is_interrupted : bool
        Whether the user ended the fit, maybe before the last level.

    See Also
    --------
    OBDMLPClassifier.pruning_path : Makes one.
    PruningPathDisplay.from_path : Draws it.
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
            Its columns are the keys that have a number for each step.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas

        columns = {name: values for name, values in self.items() if isinstance(values, np.ndarray)}
        return pandas.DataFrame(columns)

    def estimator_at(self, index: int) -> Any:
        """Fitted estimator at a step of the path, without any training.

        Parameters
        ----------
        index : int
            Position on the path; negative counts from the sparse end.

        Returns
        -------
        estimator : object
            With all that ``fit`` sets. ``prune_fraction`` is the step's level. The last step of
            the levels that the parameters make equals what ``fit`` gives, bit for bit, and a path
            to a single level equals a fit in one round; with ``n_regrow=0`` every step equals a
            fit along the levels up to it. Further `partial_fit` starts the optimiser afresh, as
            its state is not kept on the path.
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
            From dense to sparse.
        """
        return np.array([fitted.pruned.coef_masks[0].any(axis=1) for fitted in self["steps"]])


class PathBuilder:
    """Collects the networks of a path while it is made.

    Parameters
    ----------
    estimator : OBDMLPClassifier or OBDMLPRegressor
        What `PruningPath.estimator_at` completes.
    fractions : sequence of float
        Fractions gone above 0, ascending.
    own_levels : bool
        Whether they are those of the estimator's parameters.
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
