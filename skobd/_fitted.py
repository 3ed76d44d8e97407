"""What a fitted estimator tells: its network as views, its size, its predictions, its pickles."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from ._compaction import Predictor
from ._losses import LOSSES
from ._network import Array, Mask, Network
from ._serialisation import pack_state, unpack_state


class _Views(list):
    """A list of views of the parameters; an assigned item is written into its view."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for view, of_view in zip(self[index], value, strict=True):
                view[...] = of_view
        else:
            self[index][...] = value


def _read_only(vector: Any) -> Any:
    view = vector.view()
    view.flags.writeable = False
    return view


def _is_ready(X: Any, dtype: np.dtype, n_features: int) -> bool:
    """Whether scikit-learn's validation would only look for NaN and infinity.

    What else it does, looking for data frames of every kind, takes four times as long as
    predicting a row.
    """
    return (
        type(X) is np.ndarray
        and X.dtype == dtype
        and X.ndim == 2
        and X.shape[1] == n_features
        and X.shape[0] > 0
        and X.flags.c_contiguous
    )


class FittedMixin:
    """Attributes and predictions that follow from the flat parameters and their mask."""

    _network: Network
    _theta: Array
    _mask: Mask
    _exposed: Array | None = None
    _predictor: Predictor | None = None

    if TYPE_CHECKING:  # the estimators have the attributes

        def __getattr__(self, name: str) -> Any: ...

    @property
    def coefs_(self) -> list[Array]:
        """Weights of each layer, views of shape (fan_in, fan_out).

        They can be changed in place or replaced; what is written over deleted ones is ignored.
        """
        return _Views(self._network.coefs(self._expose()))

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        self._replace(self._network.coefs, values, "coefs_")

    @property
    def intercepts_(self) -> list[Array]:
        """Intercepts of each layer, views of shape (fan_out,).

        They can be changed in place or replaced; what is written over deleted ones is ignored.
        """
        return _Views(self._network.intercepts(self._expose()))

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        self._replace(self._network.intercepts, values, "intercepts_")

    def _replace(self, views_of: Callable[[Array], list[Array]], values: Any, name: str) -> None:
        """Put other values in the place of some parameters; deleted ones stay 0."""
        theta = self._theta.copy()
        views, arrays = views_of(theta), [np.asarray(value) for value in values]
        shapes, given = [view.shape for view in views], [array.shape for array in arrays]
        if given != shapes:
            raise ValueError(f"{name} must be arrays of shapes {shapes}, got {given}.")
        for view, array in zip(views, arrays, strict=True):
            view[...] = array
        self._theta = np.where(self._mask, theta, 0)

    @property
    def _survivors_only(self) -> Array:
        """The parameters, with 0 for whatever was written over deleted ones."""
        return np.where(self._mask, self._theta, 0)

    def _expose(self) -> Array:
        """The parameters, noting that they can be changed in place from now on."""
        if self._exposed is not self._theta:
            self._exposed, self._predictor = self._theta, None
        return self._theta

    @property
    def coef_masks_(self) -> list[Mask]:
        """True where a weight survives, read-only, shaped like ``coefs_``."""
        return self._network.coefs(_read_only(self._mask))

    @property
    def intercept_masks_(self) -> list[Mask]:
        """True where an intercept survives, read-only, shaped like ``intercepts_``."""
        return self._network.intercepts(_read_only(self._mask))

    @property
    def n_layers_(self) -> int:
        """Number of layers, the input included."""
        return len(self._network.layer_sizes)

    @property
    def n_outputs_(self) -> int:
        """Number of output units."""
        return self._network.layer_sizes[-1]

    @property
    def out_activation_(self) -> str:
        """Name of the output activation."""
        if not hasattr(self, "_theta"):
            raise AttributeError("out_activation_ is known after fit.")
        return LOSSES[self._loss_name].out_activation

    @property
    def n_weights_(self) -> int:
        """Surviving weights (and intercepts, if they can be pruned)."""
        return int((self._mask & self._able).sum())

    @property
    def sparsity_(self) -> float:
        """Fraction of the weights deleted."""
        return 1 - self.n_weights_ / int(self._able.sum())

    @property
    def _able(self) -> Mask:
        if self.prune_intercepts:
            return np.ones(self._network.n_parameters, dtype=bool)
        return self._network.is_weight

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_theta")

    def __getstate__(self):
        return pack_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(unpack_state(state))

    def _output(self, X: Any) -> Array:
        """Output (n_samples, n_outputs) after the inverse link, for unvalidated input."""
        if not hasattr(self, "_theta"):  # the full check takes as long as predicting a row
            check_is_fitted(self)
        dtype, n_features = self._theta.dtype, self._network.layer_sizes[0]
        if _is_ready(X, dtype, n_features) and not hasattr(self, "feature_names_in_"):
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
        else:
            X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        return self._get_predictor().output(X, LOSSES[self._loss_name].inverse_link)

    def _get_predictor(self) -> Predictor:
        """The compacted network, made when it is first needed."""
        predictor, exposed = self._predictor, self._exposed is self._theta
        if predictor is None or not predictor.is_of(self._theta, self._mask):
            predictor = Predictor(self._network, self._theta, self._mask, snapshot=exposed)
            self._predictor = predictor
        return predictor
