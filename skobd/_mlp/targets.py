"""Targets, which check, encode, weigh, score and decode y.

An estimator makes the targets that its parameters ask for, ``learn`` completes them from the first
data, and a fitted network carries them with it. All code that works with a network is given them,
and never asks an estimator whether it is a classifier.
"""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from .._net.losses import LOSSES, Loss
from .._net.network import Array
from .._net.packing import pack_plain, unpack_plain
from .messages import about


class Targets(Protocol):
    """Kind of the values that a network predicts."""

    is_numeric: ClassVar[bool]

    @property
    def loss_name(self) -> str:
        """Row of `LOSSES`."""

    @property
    def has_weights(self) -> bool:
        """Whether `weights` makes a difference."""

    @property
    def loss(self) -> Loss:
        """The loss of the network."""

    def learn(self, y: Any, name: str = "y") -> "Targets":
        """Return the targets completed by the classes in ``y``, which messages call ``name``."""

    def check_same(self, y: Any) -> None:
        """Raise ValueError if ``y`` has other classes: a warm start cannot change them."""

    def encode(self, y: Any, dtype: np.dtype, name: str = "y") -> Array:
        """Return the matrix (n_samples, n_outputs) that the network is trained on."""

    def weights(self, y: Any) -> Any:
        """Return the factor of the sample weights: a number, or an array (n_samples,)."""

    def strata(self, Y: Array) -> Array | None:
        """Return the classes by which encoded targets are split, or None."""

    def decode(self, output: Array) -> NDArray[Any]:
        """Return the predictions for the output (n_samples, n_outputs) of the network.

        Classes take the raw output, which decides as the probabilities would.
        """

    def score(self, p: Array, Y: Array, sample_weight: Array | None) -> float:
        """Return the score of the output of the network against encoded targets."""

    def pack(self) -> dict[str, Any]:
        """Return plain data from which `unpack` restores the targets."""


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Classes, or for multilabel targets several labels for each row.

    Parameters
    ----------
    class_weight : dict, list of dict, "balanced" or None
        As in scikit-learn.
    binarizer : LabelBinarizer or None
        Binarizer of the classes; None before they are learned.
    """

    class_weight: Any = None
    binarizer: LabelBinarizer | None = None

    is_numeric: ClassVar[bool] = False

    @property
    def classes(self) -> NDArray[Any]:
        """Labels in the order of the outputs."""
        return self._fitted_binarizer.classes_

    @property
    def is_multilabel(self) -> bool:
        """Whether a row may have several labels."""
        return self._fitted_binarizer.y_type_.startswith("multilabel")

    @property
    def loss_name(self) -> str:
        is_multiclass = self._fitted_binarizer.y_type_ == "multiclass"
        return "multinomial_log_loss" if is_multiclass else "binary_log_loss"

    @property
    def loss(self) -> Loss:
        return LOSSES[self.loss_name]

    @property
    def _fitted_binarizer(self) -> LabelBinarizer:
        assert self.binarizer is not None
        return self.binarizer

    def learn(self, y: Any, name: str = "y") -> "ClassTargets":
        if self.binarizer is not None:
            return self
        check_classification_targets(y)
        # `encode` warns of a column.
        labels = np.ravel(y) if np.shape(y)[1:] == (1,) else y
        binarizer = LabelBinarizer().fit(labels)
        if len(binarizer.classes_) < 2 and not binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                f"{name} has one class only, {binarizer.classes_.tolist()}; a classifier needs at "
                "least 2 classes."
            )
        return replace(self, binarizer=binarizer)

    def with_classes(self, classes: Any, y: Any) -> "ClassTargets":
        """Return the targets of a stream: ``classes`` are given with its first batch ``y``."""
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with about("classes must be one label for each class"):
            if np.ndim(classes) != 1 or not len(classes):
                raise ValueError(f"got {classes!r}.")
            labels = unique_labels(classes)
        if self.binarizer is None:
            with about("classes"):
                is_multilabel = type_of_target(y).startswith("multilabel")
                return self.learn(y if is_multilabel else classes, "classes")
        if not np.array_equal(self.classes, labels):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes!r}"
            )
        return self

    def check_same(self, y: Any) -> None:
        classes = unique_labels(np.ravel(y) if y.shape[1:] == (1,) else y)
        if set(classes) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes}, `y` has {classes}"
            )

    def encode(self, y: Any, dtype: np.dtype, name: str = "y") -> Array:
        check_classification_targets(y)
        y = _flat(y)
        given, known = type_of_target(y), self._fitted_binarizer.y_type_
        if given.startswith("multilabel") != known.startswith("multilabel"):
            raise ValueError(f"{name} is {given}, but the network is one for {known} targets.")
        if given.startswith("multilabel") and y.shape[1] != len(self.classes):
            raise ValueError(
                f"{name} has {y.shape[1]} labels, but the network is one for {len(self.classes)}."
            )
        unseen = np.setdiff1d(unique_labels(y), self.classes)
        if len(unseen):
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`: {unseen.tolist()}. "
                f"`self.classes_` has {self.classes.tolist()}."
            )
        return self._fitted_binarizer.transform(y).astype(bool)

    @property
    def has_weights(self) -> bool:
        return self.class_weight is not None

    def weights(self, y: Any) -> Any:
        given = self.class_weight
        if given is None:
            return 1
        _check_class_weight(given, is_single=y.shape[1:] in ((), (1,)))
        if isinstance(given, dict) and y.ndim == 1:
            # Uses all known classes, because a batch need not have every one of them.
            of_class = compute_class_weight(given, classes=self.classes, y=self.classes)
            return of_class[np.searchsorted(self.classes, y)]
        return compute_sample_weight(given, y)

    def strata(self, Y: Array) -> Array | None:
        return Y[:, 0] if Y.shape[1] == 1 else None

    def decode(self, output: Array) -> NDArray[Any]:
        binarizer = self._fitted_binarizer
        # Same as the binarizer, without its checks, which take ten times as long for a row.
        if binarizer.y_type_ == "multiclass":
            return binarizer.classes_[output.argmax(axis=1)]
        if binarizer.y_type_ == "binary":
            return binarizer.classes_[(output.ravel() > 0).astype(np.intp)]
        flat = output.ravel() if output.shape[1] == 1 else output
        return binarizer.inverse_transform(flat, threshold=0)

    def score(self, p: Array, Y: Array, sample_weight: Array | None) -> float:
        if self.loss_name == "binary_log_loss":
            return accuracy_score(Y, p > 0.5, sample_weight=sample_weight)
        labels = Y.argmax(axis=1)
        return accuracy_score(labels, p.argmax(axis=1), sample_weight=sample_weight)

    def pack(self) -> dict[str, Any]:
        return pack_plain(vars(self._fitted_binarizer))


@dataclass(frozen=True)
class NumberTargets:
    """Numbers, one or more for each row.

    Parameters
    ----------
    loss_name : {"squared_error", "poisson"}
    """

    loss_name: str

    is_numeric: ClassVar[bool] = True
    has_weights: ClassVar[bool] = False

    @property
    def loss(self) -> Loss:
        return LOSSES[self.loss_name]

    def learn(self, y: Any, name: str = "y") -> "NumberTargets":
        return self

    def check_same(self, y: Any) -> None:
        pass

    def encode(self, y: Any, dtype: np.dtype, name: str = "y") -> Array:
        y = _flat(y)
        Y = (y.reshape(-1, 1) if y.ndim == 1 else y).astype(dtype, copy=False)
        if self.loss_name == "poisson" and (Y < 0).any():
            raise ValueError(f"loss='poisson' needs {name} >= 0, but its minimum is {Y.min()}.")
        return Y

    def weights(self, y: Any) -> Any:
        return 1

    def strata(self, Y: Array) -> Array | None:
        return None

    def decode(self, output: Array) -> NDArray[Any]:
        return output.ravel() if output.shape[1] == 1 else output

    def score(self, p: Array, Y: Array, sample_weight: Array | None) -> float:
        return r2_score(Y, p, sample_weight=sample_weight)

    def pack(self) -> dict[str, Any]:
        return pack_plain({"loss_name": self.loss_name})


def unpack(packed: dict[str, Any]) -> Targets:
    """Restore the targets on which `Targets.pack` was called."""
    values = unpack_plain(packed)
    if "loss_name" in values:
        return NumberTargets(**values)
    binarizer = LabelBinarizer()
    vars(binarizer).update(values)
    return ClassTargets(binarizer=binarizer)


def _check_class_weight(given: Any, is_single: bool) -> None:
    """Refuse class weights that are not numbers >= 0, or do not suit targets of one column."""
    for table in given if isinstance(given, list) else [given]:
        for label, value in table.items() if isinstance(table, dict) else ():
            if not isinstance(value, Real) or not 0 <= float(value) < np.inf:
                raise ValueError(
                    f"class_weight[{label!r}] must be a finite number >= 0, got {value!r}."
                )
    if isinstance(given, list) and is_single:
        raise ValueError(
            "class_weight must be a dict, 'balanced' or None for targets of one column; lists "
            f"of dicts are for multilabel targets. Got {given!r}."
        )


def _flat(y: Any) -> Any:
    """Return a column as a vector, with scikit-learn's warning."""
    if getattr(y, "ndim", 1) == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y
