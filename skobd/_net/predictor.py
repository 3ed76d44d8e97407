"""Fast prediction by a fitted network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from .._chunks import count_chunks, row_blocks, split_evenly
from .._threads import reproducible_threads, run_chunks
from .compaction import compact
from .network import Array, Mask, Network

Link = Callable[[Array], None]

# With fewer rows than this a CSR product cannot use vector instructions: only large and very
# sparse layers gain from it.
_MANY_ROWS = 16
# Rows are predicted in blocks whose activations fit the cache; a chunk is worth a thread from
# about so many multiply-adds on.
_BLOCK_ELEMENTS = 2**18
_MIN_BLOCK_ROWS, _MAX_BLOCK_ROWS = 64, 2048
_CHUNK_MULTIPLY_ADDS, _MAX_CHUNKS = 2e7, 8
# BLAS computes smaller products than this on one thread without a limit.
_SMALL_PRODUCT = 9000


class Costs(NamedTuple):
    """Costs in units of a multiply-add of a dense product, as benchmarks/deployment.py measures.

    Attributes
    ----------
    sparse : float
        A non-zero weight of a CSR product with many rows.
    transpose : float
        Copying an element into the transposed layout.
    sparse_of_one, sparse_call_of_one : float
        A non-zero weight of a CSR product with few rows, and such a product as a whole.
    gather : float
        Taking an input out of a row.
    """

    sparse: float = 7.0
    transpose: float = 19.0
    sparse_of_one: float = 6.0
    sparse_call_of_one: float = 120_000.0
    gather: float = 50.0


class Predictor:
    """A fitted network prepared for prediction: compacted, in the cheaper of two layouts.

    Dense products run on rows, ``x @ W``. If enough weights are zero the block is transposed
    instead and layers are multiplied as ``W.T @ x.T`` with ``W.T`` in SciPy's CSR format, whose
    innermost loop then runs over the rows.

    Parameters
    ----------
    network : Network
    theta : ndarray of shape (n_parameters,)
    mask : ndarray of bool of shape (n_parameters,)
    costs : Costs, default=Costs()
        Costs by which the layout is chosen.
    """

    def __init__(self, network: Network, theta: Array, mask: Mask, costs: Costs = Costs()) -> None:
        compaction = compact(network, theta, mask)
        self.network, self.inputs = compaction.network, compaction.kept_units[0]
        self._layers = self.network.layers(compaction.theta)
        n_inputs, n_live, n_units = network.layer_sizes[0], *self.network.layer_sizes[:2]
        dense_layers = self._layers
        self._gathers = n_live * costs.gather < (n_inputs - n_live) * n_units
        if n_live < n_inputs and not self._gathers:
            # Multiplying dead inputs by 0 costs less than leaving them out.
            wide = np.zeros((n_inputs + 1, n_units), dtype=self._layers[0].dtype)
            wide[[*self.inputs, -1]] = self._layers[0]
            dense_layers = [wide, *self._layers[1:]]
        # Intercepts are a row, because NumPy adds arrays of one shape in half the time.
        *self._hidden, self._last = [(layer[:-1], layer[-1:]) for layer in dense_layers]
        self._apply = network.f.apply
        self._largest = max(layer.size for layer in dense_layers)
        n_rows = _BLOCK_ELEMENTS // max(self.network.layer_sizes)
        self._n_block_rows = min(max(n_rows, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)
        is_used = self.network.coefs(compaction.mask)[0].any(axis=1)
        self.used_inputs = self.inputs[is_used]
        n_nonzero = [int(layer.sum()) for layer in self.network.coefs(compaction.mask)]
        self._for_one = self._plan(n_nonzero, costs.sparse_of_one, costs.sparse_call_of_one, 0.0)
        self._for_many = self._plan(n_nonzero, costs.sparse, 0.0, costs.transpose)

    @property
    def n_multiply_adds(self) -> int:
        """Number of multiplications for one row of a bulk prediction, without dead inputs."""
        plan = self._for_many or [None] * len(self._layers)
        return sum(
            layer[:-1].size if csr is None else csr.nnz
            for layer, csr in zip(self._layers, plan, strict=True)
        )

    def _plan(
        self, n_nonzero: list[int], per_nonzero: float, per_call: float, per_element: float
    ) -> list[Any] | None:
        """Return the CSR form of layers that gain (else None); None if transposing costs more."""
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
        """Compute the output (n_samples, n_outputs) for ``X`` in row blocks.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_samples, n_features)
            In the precision of the network, in any memory layout.
        link : callable or None
            Inverse link, applied in place; None for the raw output.
        """
        n_samples, n_rows = X.shape[0], self._n_block_rows
        if n_samples * self._largest < _SMALL_PRODUCT:
            return self._block(X, link)
        if n_samples <= n_rows:
            with reproducible_threads(1):
                return self._block(X, link)
        out = np.empty((n_samples, self.network.layer_sizes[-1]), dtype=self._layers[0].dtype)
        n_chunks = count_chunks(
            n_samples,
            n_samples * self.network.n_parameters,
            worth=_CHUNK_MULTIPLY_ADDS,
            min_rows=n_rows,
            most=_MAX_CHUNKS,
        )
        chunks = split_evenly(n_samples, n_chunks)

        def work(chunk: slice) -> float:
            for rows in row_blocks(chunk, n_rows):
                out[rows] = self._block(X[rows], link)
            return 0.0

        # Starting threads pays for many rows only; the number of chunks does not depend on them.
        with reproducible_threads():
            run_chunks(work, chunks)
        return out

    def _block(self, X: Any, link: Link | None) -> Array:
        """Compute the output of some rows, made contiguous: the last bits depend on the layout."""
        plan = None
        if isinstance(X, np.ndarray):
            X = np.ascontiguousarray(X)
            plan = self._for_many if len(X) >= _MANY_ROWS else self._for_one
        out = self._by_rows(X) if plan is None else self._transposed(X, plan)
        if link is not None:
            link(out)
        return out

    def _by_rows(self, x: Any) -> Array:
        if self._gathers:
            # Arrays of SciPy have no `take`, and those of NumPy are indexed more slowly.
            x = x.take(self.inputs, axis=1) if isinstance(x, np.ndarray) else x[:, self.inputs]
        for weights, intercepts in self._hidden:
            # For a row `dot` takes half the time of `@`.
            x = x.dot(weights)
            x += intercepts
            self._apply(x)
        x = x.dot(self._last[0])
        x += self._last[1]
        return x

    def _transposed(self, X: Array, plan: list[Any]) -> Array:
        # Rows of the transpose are taken and copied in one go.
        whole = len(self.inputs) == X.shape[1]
        x = np.ascontiguousarray(X.T if whole else X.T[self.inputs])
        for index, (layer, csr) in enumerate(zip(self._layers, plan, strict=True)):
            x = layer[:-1].T @ x if csr is None else csr @ x
            x += layer[-1][:, np.newaxis]
            if index < len(self._layers) - 1:
                self._apply(x)
        return np.ascontiguousarray(x.T)
