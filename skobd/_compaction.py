"""Physically smaller networks: what is dead is dropped, for prediction and for training.

A hidden unit without incoming weights is a constant, f(b); it is folded into the intercepts of
the next layer, b' + f(b) w. A unit without outgoing weights computes nothing, and an input without
outgoing weights is not looked at. What is left predicts the same from fewer numbers.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ._network import Array, Indices, Mask, Network
from ._objective import Objective
from ._parallel import deal, reproducible_threads, run_lanes, single_threaded_blas
from ._solvers import Watch
from ._updates import Update

Link = Callable[[Array], None]

# Costs in units of a multiply-add of a dense product, as benchmarks/deployment.py measures them:
# a non-zero weight of a CSR product, and copying an element into the transposed layout.
_SPARSE_COST, _TRANSPOSE_COST = 7.0, 19.0
# Taking the live inputs out of a row, for each of them.
_GATHER_COST = 50.0
# With fewer rows than this a CSR product cannot use vector instructions: only large and very
# sparse layers gain by it.
_MANY_ROWS = 16
_SPARSE_COST_OF_ONE, _SPARSE_CALL_OF_ONE = 6.0, 120_000
# Rows are predicted in blocks whose activations fit the cache, and dealt to lanes from about so
# many multiply-adds on.
_BLOCK_ELEMENTS = 2**18
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 64, 2048
_LANE_MULTIPLY_ADDS, _MAX_LANES = 2e7, 8
# BLAS leaves smaller products than this to one thread, so that it need not be told to.
_SMALL_PRODUCT = 9000
# Inputs are left out of the training data if a quarter of them are dead and the copy is small.
_LIVE_SHARE = 0.75
_MAX_COPY_BYTES = 2**26


class Compaction(NamedTuple):
    """A smaller network that predicts the same.

    Attributes
    ----------
    network : Network
    theta : ndarray of shape (network.n_parameters,)
    mask : ndarray of bool of shape (network.n_parameters,)
        An intercept that took over a constant is alive.
    kept : list of ndarray of int
        The inputs of the whole network that are kept, then the units of each hidden layer.
    positions : ndarray of int of shape (network.n_parameters,) or None
        Where each parameter that is alive was in the whole ``theta``; None if constants were
        folded.
    """

    network: Network
    theta: Array
    mask: Mask
    kept: list[Indices]
    positions: Indices | None


def compact(network: Network, theta: Array, mask: Mask, keep_inputs: bool = False) -> Compaction:
    """Drop dead inputs and hidden units; each layer keeps at least one.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    keep_inputs : bool, default=False
        Whether to keep dead inputs.

    Returns
    -------
    compaction : Compaction
    """
    theta, mask = np.where(mask, theta, 0), mask.copy()
    # One sweep in each direction suffices: folding can only make constants further on, and
    # dropping unused units can only make units unused further back.
    folded = _fold_constants(network, theta, mask)
    masks = network.layers(mask)
    for layer, following in zip(masks[-2::-1], masks[:0:-1], strict=True):
        layer[:-1, ~following[:-1].any(axis=1)] = False
    kept = [_where(layer[:-1].any(axis=1)) for layer in masks]
    if keep_inputs:
        kept[0] = np.arange(network.layer_sizes[0])
    smaller, positions = select(network, kept)
    small_mask = mask[positions]
    small_theta = np.where(small_mask, theta[positions], 0)
    return Compaction(smaller, small_theta, small_mask, kept, None if folded else positions)


def _fold_constants(network: Network, theta: Array, mask: Mask) -> bool:
    """Fold units without incoming weights into the next intercepts, in place; False if none."""
    thetas, masks = network.layers(theta), network.layers(mask)
    folded = False
    for index in range(len(thetas) - 1):
        following, alive = thetas[index + 1], masks[index + 1]
        constant = ~masks[index][:-1].any(axis=0) & alive[:-1].any(axis=1)
        if not constant.any():
            continue
        # In double precision, because it is done once and costs nothing.
        output = thetas[index][-1, constant].astype(np.float64)
        network.f.apply(output)
        following[-1] += output @ following[:-1][constant].astype(np.float64)
        alive[-1] |= alive[:-1][constant].any(axis=0)
        following[:-1][constant], alive[:-1][constant] = 0, False
        folded = True
    return folded


def select(network: Network, kept: Sequence[Indices]) -> tuple[Network, Indices]:
    """The network of the inputs ``kept[0]`` and hidden units ``kept[1:]``.

    Returns
    -------
    network : Network
    positions : ndarray of int of shape (network.n_parameters,)
        Where each of its parameters is in the ``theta`` of the whole network.
    """
    columns = [*kept[1:], np.arange(network.layer_sizes[-1])]
    positions = [
        layer[np.ix_([*rows, layer.shape[0] - 1], units)].ravel()
        for layer, rows, units in zip(
            network.layers(np.arange(network.n_parameters)), kept, columns, strict=True
        )
    ]
    sizes = tuple(len(units) for units in (kept[0], *columns))
    return Network(sizes, network.activation), np.concatenate(positions)


def _where(alive: Any) -> Indices:
    """Indices of what is alive, or of the first where nothing is."""
    return np.flatnonzero(alive) if alive.any() else np.zeros(1, dtype=np.intp)


# ---------------------------------------------------------------------------- prediction


class Predictor:
    """A fitted network made ready for prediction: compacted, in the cheaper of two layouts.

    Dense products run on rows, ``x @ W``. Where enough weights are zero the block is transposed
    instead and layers are multiplied as ``W.T @ x.T`` with ``W.T`` in SciPy's CSR format, whose
    innermost loop then runs over the rows.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    snapshot : bool, default=False
        Whether ``theta`` may be changed in place, so that its values must be compared.
    """

    def __init__(self, network: Network, theta: Array, mask: Mask, snapshot: bool = False) -> None:
        self._source = theta, mask
        self._snapshot = theta.copy() if snapshot else None
        compaction = compact(network, theta, mask)
        self.network, self.inputs = compaction.network, compaction.kept[0]
        self._layers = self.network.layers(compaction.theta)
        self._dense_layers = self._layers
        n_inputs, n_live, n_units = network.layer_sizes[0], *self.network.layer_sizes[:2]
        self._gathers = n_live * _GATHER_COST < (n_inputs - n_live) * n_units
        if n_live < n_inputs and not self._gathers:
            # Multiplying dead inputs by 0 costs less than leaving them out.
            wide = np.zeros((n_inputs + 1, n_units), dtype=self._layers[0].dtype)
            wide[[*self.inputs, -1]] = self._layers[0]
            self._dense_layers = [wide, *self._layers[1:]]
        self._largest = max(layer.size for layer in self._dense_layers)
        n_rows = _BLOCK_ELEMENTS // max(self.network.layer_sizes)
        self._n_block_rows = min(max(n_rows, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
        is_used = self.network.coefs(compaction.mask)[0].any(axis=1)
        self.used_inputs = self.inputs[is_used]
        n_nonzero = [int(layer.sum()) for layer in self.network.coefs(compaction.mask)]
        self._for_one = self._plan(n_nonzero, _SPARSE_COST_OF_ONE, _SPARSE_CALL_OF_ONE, 0.0)
        self._for_many = self._plan(n_nonzero, _SPARSE_COST, 0.0, _TRANSPOSE_COST)

    def is_of(self, theta: Array, mask: Mask) -> bool:
        """Whether it was made from these very arrays, and they are as they were."""
        if theta is not self._source[0] or mask is not self._source[1]:
            return False
        return self._snapshot is None or np.array_equal(theta, self._snapshot)

    @property
    def n_multiply_adds(self) -> int:
        """Multiplications for one row of a bulk prediction, those by dead inputs left out."""
        plan = self._for_many or [None] * len(self._layers)
        return sum(
            layer[:-1].size if csr is None else csr.nnz
            for layer, csr in zip(self._layers, plan, strict=True)
        )

    def _plan(
        self, n_nonzero: list[int], per_nonzero: float, per_call: float, per_element: float
    ) -> list[Any] | None:
        """CSR form of each layer that gains by it (else None); None if transposing costs more."""
        gains = [
            layer[:-1].size - per_nonzero * nnz - per_call
            for layer, nnz in zip(self._layers, n_nonzero, strict=True)
        ]
        n_copied = self.network.layer_sizes[0] + self.network.layer_sizes[-1]
        if sum(gain for gain in gains if gain > 0) <= per_element * n_copied:
            return None
        return [
            sparse.csr_array(np.ascontiguousarray(layer[:-1].T)) if gain > 0 else None
            for layer, gain in zip(self._layers, gains, strict=True)
        ]

    def output(self, X: Any, link: Link | None = None) -> Array:
        """Output (n_samples, n_outputs) for ``X`` (n_samples, n_features), in row blocks.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_samples, n_features)
            In the precision of the network.
        link : callable or None
            Inverse link, applied in place; None for the raw output.
        """
        n_samples, n_rows = X.shape[0], self._n_block_rows
        out = np.empty((n_samples, self.network.layer_sizes[-1]), dtype=self._layers[0].dtype)
        if n_samples <= n_rows:
            small = n_samples * self._largest < _SMALL_PRODUCT
            with nullcontext() if small else single_threaded_blas():
                self._block(X, out, link)
            return out
        work = n_samples * self.network.n_parameters / _LANE_MULTIPLY_ADDS
        n_lanes = max(1, min(int(work), n_samples // n_rows, _MAX_LANES))
        lanes = deal(n_samples, n_lanes)

        def lane(index: int) -> float:
            of_lane = lanes[index]
            for start in range(of_lane.start, of_lane.stop, n_rows):
                rows = slice(start, min(start + n_rows, of_lane.stop))
                self._block(X[rows], out[rows], link)
            return 0.0

        # Starting threads pays for many rows only; the number of lanes does not depend on them.
        with reproducible_threads() if n_lanes > 1 else single_threaded_blas():
            run_lanes(lane, n_lanes)
        return out

    def _block(self, X: Any, out: Array, link: Link | None) -> None:
        """Output of some rows."""
        self._raw(X, out)
        if link is not None:
            link(out)

    def _raw(self, X: Any, out: Array) -> None:
        is_dense = isinstance(X, np.ndarray)
        plan = self._for_many if X.shape[0] >= _MANY_ROWS else self._for_one
        if plan is None or not is_dense:
            if self._gathers:
                X = np.take(X, self.inputs, axis=1) if is_dense else X[:, self.inputs]
            buffers = self.network.buffers(X.shape[0], out.dtype)
            buffers[-1] = out
            self.network.forward(self._dense_layers, X, buffers)
            return
        # Rows of the transpose are taken and copied in one go.
        whole = len(self.inputs) == X.shape[1]
        x = np.ascontiguousarray(X.T if whole else X.T[self.inputs])
        for index, (layer, csr) in enumerate(zip(self._layers, plan, strict=True)):
            x = layer[:-1].T @ x if csr is None else csr @ x
            x += layer[-1][:, np.newaxis]
            if index < len(self._layers) - 1:
                self.network.f.apply(x)
        out[...] = x.T


# ---------------------------------------------------------------------------- training


class Part:
    """The living part of an objective, and the way there and back.

    A hidden unit that has lost every weight contributes nothing to the objective, nor to its
    gradient, nor to the penalty; without such units, and without dead inputs, the objective is
    the same function of the parameters that are left.

    Parameters
    ----------
    objective : Objective
        The whole.
    held : ndarray of int, default=None
        Inputs that the part keeps; None for all.
    X : {ndarray, CSR matrix}, default=None
        Their columns.
    """

    def __init__(self, objective: Objective, held: Indices | None = None, X: Any = None) -> None:
        self.whole = self.objective = objective
        self._held = np.arange(objective.network.layer_sizes[0]) if held is None else held
        self._X = objective.X if X is None else X
        self._positions: Indices | None = None

    def living(self, able: Mask) -> "Part":
        """The part in which ``able``, the parameters that could still be deleted, are alive.

        Columns of the data are copied only where that saves much and costs little memory; what
        an earlier part left out stays out.
        """
        network = self.whole.network
        layers = network.layers(able)
        live = _where(layers[0][:-1].any(axis=1))
        held, X = self._held, self._X
        if live.size <= _LIVE_SHARE * held.size and _copy_bytes(X, live.size) <= _MAX_COPY_BYTES:
            columns = np.searchsorted(held, live)
            X = np.take(X, columns, axis=1) if isinstance(X, np.ndarray) else X[:, columns]
            held = live
        units = [
            _where(layer.any(axis=0) | following[:-1].any(axis=1))
            for layer, following in itertools.pairwise(layers)
        ]
        part = Part(self.whole, held, X)
        smaller, positions = select(network, [held, *units])
        if smaller.n_parameters < network.n_parameters:
            whole = self.whole
            part._positions = positions
            part.objective = Objective(
                smaller, whole.loss, X, whole.Y, whole.sample_weight, whole.alpha
            )
        return part

    def value(self, theta: Array) -> float:
        """Objective at ``theta`` over all parameters."""
        return self.objective.value(self.take(theta))

    def take(self, vector: Any) -> Any:
        """Entries of a vector over all parameters that belong to the part."""
        return vector if self._positions is None else vector[self._positions]

    def put(self, values: Any, vector: Any) -> Any:
        """``vector`` with the entries that belong to the part replaced by ``values``."""
        if self._positions is None:
            return values
        vector = vector.copy()
        vector[self._positions] = values
        return vector

    def watch(self, watch: Watch, theta: Array) -> Watch:
        """The watch as seen from the part; ``theta`` holds what is not in the part."""
        if self._positions is None:
            return watch

        def of_whole(function: Callable[[Array], Any] | None) -> Callable[[Array], Any] | None:
            return None if function is None else lambda values: function(self.put(values, theta))

        return watch._replace(validate=of_whole(watch.validate), on_epoch=of_whole(watch.on_epoch))

    def put_state(self, state: Update | None, mask: Mask) -> Update | None:
        """The optimiser's state over all survivors ``mask``; what is not in the part is at rest."""
        if state is None or self._positions is None:
            return state
        inside = np.zeros(mask.size, dtype=bool)
        inside[self._positions] = True
        state.spread(inside[mask])
        return state


def _copy_bytes(X: Any, n_columns: int) -> int:
    """Size of a copy of some columns; at most, for sparse data."""
    if isinstance(X, np.ndarray):
        return X.shape[0] * n_columns * X.itemsize
    return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
