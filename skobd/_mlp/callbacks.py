"""Tasks for the callbacks of scikit-learn 1.9 and later; earlier versions report nothing.

A fit reports nested tasks, fit -> round -> epoch; round 0 trains the dense network. A callback
may end the training of a round (and with it the fit) after any epoch, or the fit after any
round; the estimator then keeps the network trained so far.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._net.network import Array, Mask
from .._net.pruned import PrunedNetwork
from .._sklearn_compat import NoContext, has_callbacks, root_context
from .data import Given
from .fitted import Fitted


def metadata_of(sample_weight: Any) -> dict[str, Any] | None:
    """Return the metadata that the hooks of scikit-learn's own estimators get."""
    return None if sample_weight is None else {"sample_weight": sample_weight}


class FitTasks:
    """The tasks fit -> round -> epoch of one fit.

    Parameters
    ----------
    estimator : BaseOBDMLP
        Estimator that is being fitted.
    given : Given
        Training data, shown to the callbacks.
    n_rounds : int
        Largest number of rounds after dense training.
    n_epochs : tuple of int
        Largest numbers of epochs of dense training, and of retraining after a round.
    """

    def __init__(
        self,
        estimator: Any,
        given: Given,
        n_rounds: int,
        n_epochs: tuple[int, int],
    ) -> None:
        self._estimator, self._n_epochs = estimator, n_epochs
        metadata = metadata_of(given.sample_weight)
        self._data = {"X": given.X, "y": given.y, "metadata": metadata}
        self._fit = root_context(estimator, max_subtasks=1 + n_rounds)
        # Reporting every epoch costs time and memory, which only callbacks justify.
        self._are_told = has_callbacks(estimator)
        self._n_begun = 0
        self._round: Any = NoContext()
        self._epoch: Any = None
        self._mask: Mask | None = None
        self.start: Fitted | None = None
        self._begin(self._fit)

    @property
    def on_round(self) -> Callable[[Array, Mask, int], None] | None:
        """Return ``on_round(theta, mask, n)`` for `Monitor`, or None without callbacks."""
        return self._begin_round if self._are_told else None

    @property
    def on_cycle(self) -> Callable[[Array, Mask], None] | None:
        """Return ``on_cycle(theta, mask)`` for `Monitor`, or None without callbacks."""
        return self._begin_cycle if self._are_told else None

    @property
    def on_epoch(self) -> Callable[[Array], bool] | None:
        """Return ``on_epoch(theta)`` for `Monitor`, or None without callbacks."""
        return self._end_epoch if self._are_told else None

    def end_round(self, attributes: Callable[[], dict[str, Any]]) -> bool:
        """Report the end of a round; return True if a callback asks to stop.

        ``attributes()`` gives the attributes of an estimator fitted up to this round.
        """
        if not self._are_told:
            return False
        if self._epoch is not None:
            # Training ended before this epoch began.
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
            self._epoch = None
        return self._end(self._round, attributes)

    def end(self, attributes: Callable[[], dict[str, Any]] = dict) -> None:
        """Report the end of the fit; ``attributes()`` gives the attributes it still lacks."""
        self._end(self._fit, attributes)

    def _begin_cycle(self, theta: Array, mask: Mask) -> None:
        self._mask = mask

    def _begin_round(self, theta: Array, mask: Mask, n_trainings: int) -> None:
        n_epochs = n_trainings * self._n_epochs[min(self._n_begun, 1)]
        self._n_begun += 1
        self._mask = mask
        self._round = self._fit.subcontext(task_name="round", max_subtasks=n_epochs)
        self._begin(self._round, self._network(theta))
        self._n_left = n_epochs
        self._begin_epoch(theta)

    def _begin_epoch(self, theta: Array) -> None:
        self._epoch = None
        if self._n_left > 0:
            self._n_left -= 1
            self._epoch = self._round.subcontext(task_name="epoch")
            self._begin(self._epoch, self._network(theta))

    def _end_epoch(self, theta: Array) -> bool:
        if self._epoch is None:
            return False
        stop = self._end(self._epoch, self._network(theta))
        self._epoch = None
        if not stop:
            self._begin_epoch(theta)
        return stop

    def _network(self, theta: Array) -> Callable[[], dict[str, Any]]:
        start, mask = self.start, self._mask
        assert start is not None
        assert mask is not None
        pruned = PrunedNetwork(start.pruned.network, theta.copy(), mask)
        return lambda: {"_fitted": replace(start, pruned=pruned)}

    def _begin(self, context: Any, attributes: Callable[[], dict[str, Any]] | None = None) -> None:
        context.call_on_fit_task_begin(
            estimator=self._estimator, **self._data, reconstruction_attributes=attributes
        )

    def _end(self, context: Any, attributes: Callable[[], dict[str, Any]]) -> bool:
        return context.call_on_fit_task_end(
            estimator=self._estimator, **self._data, reconstruction_attributes=attributes
        )
