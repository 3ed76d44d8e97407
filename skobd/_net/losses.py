"""Losses as functions of the raw output ``a`` of the last layer.

Every loss is paired with its canonical inverse link ``p = g(a)``, so that

    dloss/da = p - y,        d2loss/da2 = dp/da,

which suffices to back-propagate first and second derivatives. As functions of the raw output
the values stay finite and exact where probabilities round to 0 or 1.

Shapes: ``raw`` and ``Y`` (n_samples, n_outputs), ``sample_weight`` (n_samples,) or None.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, xlogy

from .activations import Array

Weights = Array | None

# Probability of classes that never occurred.
_TINY = float(np.finfo(np.float64).tiny)
_BLOCK_ROWS = 4096


class Loss(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    out_activation : str
        scikit-learn's name of the inverse link.
    inverse_link : callable
        ``inverse_link(raw)`` replaces ``raw`` by the predictions in place.
    losses : callable
        ``losses(raw, Y)`` returns the loss of every sample, shape (n_samples,), and leaves
        the predictions in ``raw``: both need the same exponentials.
    link : callable
        ``link(p)`` is the raw output of predictions in double precision.
    curvature : callable
        ``curvature(p)`` is the diagonal of the output Hessian given the predictions,
        shape (n_samples, n_outputs).
    factor : callable
        ``factor(p, v)`` is ``F v`` for every row, (n_samples, n_outputs), where ``F F^T`` is the
        whole output Hessian given the predictions.
    """

    out_activation: str
    inverse_link: Callable[[Array], None]
    losses: Callable[[Array, Array], Array]
    link: Callable[[Array], Array]
    curvature: Callable[[Array], Array]
    factor: Callable[[Array, Array], Array]

    def factors(self, p: Array) -> Iterator[Array]:
        """Yield the columns of ``F``, each (n_samples, n_outputs), for Gauss-Newton."""
        for column in np.eye(p.shape[1], dtype=p.dtype):
            yield self.factor(p, column)

    def value(self, raw: Array, Y: Array, sample_weight: Weights) -> float:
        """Sum the weighted losses in double precision; ``raw`` becomes the predictions."""
        losses = self.losses(raw, Y)
        if sample_weight is not None:
            losses = losses * sample_weight
        return float(losses.sum(dtype=np.float64))

    def of_constant(self, Y: Array, sample_weight: Weights) -> float:
        """Return the mean loss of the best constant prediction, the mean of ``Y``."""
        weight = np.broadcast_to(1.0, len(Y)) if sample_weight is None else sample_weight
        blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, len(Y), _BLOCK_ROWS)]
        total = weight.sum(dtype=np.float64)
        mean = sum(weight[rows] @ Y[rows].astype(np.float64) for rows in blocks) / total
        raw = np.tile(self.link(mean), (min(len(Y), _BLOCK_ROWS), 1))
        losses = (self.value(raw[: len(Y[b])].copy(), Y[b], weight[b]) for b in blocks)
        return sum(losses) / float(total)

    def value_and_gradient(self, raw: Array, Y: Array, sample_weight: Weights) -> float:
        """Sum the weighted losses; ``raw`` becomes the gradient."""
        value = self.value(raw, Y, sample_weight)
        raw -= Y
        if sample_weight is not None:
            raw *= sample_weight[:, np.newaxis]
        return value


def identity_link(raw: Array) -> None:
    pass


def _sigmoid(raw: Array) -> None:
    expit(raw, out=raw)


def _softmax(raw: Array) -> None:
    # The methods of arrays do the same, but take twice as long for a row.
    raw -= np.maximum.reduce(raw, axis=1, keepdims=True)
    np.exp(raw, out=raw)
    raw /= np.add.reduce(raw, axis=1, keepdims=True)


def _exp(raw: Array) -> None:
    np.exp(raw, out=raw)


def _same(p: Array) -> Array:
    return p


def _log_odds(p: Array) -> Array:
    return logit(np.clip(p, _TINY, 1 - np.finfo(np.float64).epsneg))


def _log(p: Array) -> Array:
    return np.log(np.maximum(p, _TINY))


def _half_squared_error(raw: Array, Y: Array) -> Array:
    residual = raw - Y
    return 0.5 * np.einsum("ij,ij->i", residual, residual)


def _binary_log_loss(raw: Array, Y: Array) -> Array:
    losses = (np.logaddexp(0, raw) - Y * raw).sum(axis=1)
    _sigmoid(raw)
    return losses


def _multinomial_log_loss(raw: Array, Y: Array) -> Array:
    # Reductions over few outputs are slow along the last axis, hence the transposed copy.
    raw -= np.maximum.reduce(np.ascontiguousarray(raw.T))[:, np.newaxis]
    of_label = np.einsum("ij,ij->i", raw, Y)
    np.exp(raw, out=raw)
    total = np.add.reduce(np.ascontiguousarray(raw.T))
    raw /= total[:, np.newaxis]
    return np.log(total) - of_label


def _half_poisson_deviance(raw: Array, Y: Array) -> Array:
    of_label = Y * raw
    _exp(raw)
    return (xlogy(Y, Y) - of_label - Y + raw).sum(axis=1)


def _ones(p: Array) -> Array:
    return np.ones_like(p)


def _bernoulli_variance(p: Array) -> Array:
    return p * (1 - p)


def _separable_factor(curvature: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """Make the factor of a diagonal output Hessian."""
    return lambda p, v: np.sqrt(curvature(p)) * v


def _softmax_factor(p: Array, v: Array) -> Array:
    # diag(p) - p p^T = F F^T with F = diag(sqrt(p)) - p sqrt(p)^T, because sum(p) = 1.
    column = np.sqrt(p) * v
    column -= p * column.sum(axis=1, keepdims=True)
    return column


LOSSES: dict[str, Loss] = {
    "squared_error": Loss(
        "identity", identity_link, _half_squared_error, _same, _ones, _separable_factor(_ones)
    ),
    "binary_log_loss": Loss(
        "logistic",
        _sigmoid,
        _binary_log_loss,
        _log_odds,
        _bernoulli_variance,
        _separable_factor(_bernoulli_variance),
    ),
    "multinomial_log_loss": Loss(
        "softmax", _softmax, _multinomial_log_loss, _log, _bernoulli_variance, _softmax_factor
    ),
    "poisson": Loss("exp", _exp, _half_poisson_deviance, _log, np.copy, _separable_factor(np.copy)),
}
