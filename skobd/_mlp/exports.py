"""Conversions of a fitted estimator: compact, as text, and to models of other libraries."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data

from .._export import onnx, perceptron
from .._export.c import CCode
from .._export.summary import PruningSummary, caption, summarise
from .._net.compaction import at_least_one
from .._net.network import Indices
from .._sklearn_compat import API_PAGE, _safe_indexing, single_block
from .attributes import FittedAttributes
from .c_code import to_c
from .fit import hidden_sizes, stops_early
from .fitted import Fitted, state_of
from .targets import ClassTargets, NumberTargets, Targets

if TYPE_CHECKING:
    from typing_extensions import Self


def converted(estimator: Any) -> onnx.Converted:
    """Return the parts of a fitted estimator that are converted to ONNX."""
    fitted: Fitted = estimator._fitted
    link = fitted.targets.loss.out_activation
    if not isinstance(fitted.targets, ClassTargets):
        return onnx.Converted(fitted.pruned, link)
    classes, is_multilabel = fitted.targets.classes, fitted.targets.is_multilabel
    return onnx.Converted(fitted.pruned, link, classes, is_multilabel)


class Exports(FittedAttributes):
    """Methods that convert the estimator to other forms."""

    hidden_layer_sizes: Any
    prune_fraction: float | str
    feature_groups: Any
    n_features_in_: int
    feature_names_in_: Any
    get_params: Any
    _sklearn_class: type

    def compact(self, *, inputs: bool = False, history: bool = True) -> "Self":
        """Make a fitted estimator without the dead hidden units.

        Units that lost all incoming weights are folded into the intercepts of the next layer,
        and units that lost all outgoing weights are dropped; each layer keeps at least one.
        Levels are then relative to the smaller network. Of the parameters, ``hidden_layer_sizes``
        changes, and ``prune_fraction`` becomes the present level, so that a fit with
        ``warm_start=True`` does not prune the network again.

        Parameters
        ----------
        inputs : bool, default=False
            Whether dead inputs are dropped, too: the smaller estimator then takes only the columns
            in ``used_features_``, in their order (or the first column if none is used), and
            its ``feature_groups`` are those of ``feature_groups_`` with any of these columns. If
            False, it takes the original columns, and those not in ``used_features_`` may hold
            any finite values. The function `compact` reduces a whole pipeline.
        history : bool, default=True
            Whether to keep the record of training and pruning. False keeps only the network,
            for small files: ``loss_curve_``, ``pruning_history_`` and ``regrowth_history_`` are
            empty, and ``feature_importances_`` are unknown.

        Returns
        -------
        smaller : object
            An independent estimator with the same predictions up to rounding.
        """
        check_is_fitted(self)
        smaller = self._compact(self._kept_inputs() if inputs else np.arange(self.n_features_in_))
        if not history:
            smaller._fitted = smaller._fitted.without_history()
        return smaller

    def _kept_inputs(self) -> Indices:
        """Return the inputs that are used, or the first if none is."""
        return at_least_one(np.isin(np.arange(self.n_features_in_), self.used_features_))

    def _compact(self, kept: Indices) -> "Self":
        """Make the smaller estimator of the inputs ``kept``; all others must be dead."""
        smaller = copy.deepcopy(self)
        pruned = self._fitted.pruned.compacted()
        smaller.hidden_layer_sizes = pruned.network.layer_sizes[1:-1]
        fitted = replace(smaller._fitted, pruned=pruned).without_optimizer().of_inputs(kept)
        smaller._fitted, smaller.n_features_in_ = fitted, len(kept)
        if hasattr(self, "feature_names_in_"):
            smaller.feature_names_in_ = self.feature_names_in_[kept]
        if fitted.group_of is not None and len(kept) < self.n_features_in_:
            groups = {name: list(map(int, g)) for name, g in smaller.feature_groups_.items()}
            is_named = fitted.group_names is not None
            smaller.feature_groups = groups if is_named else list(groups.values())
        # The largest level that the parameter can have if nothing is left.
        smaller.prune_fraction = min(smaller._fitted.gone, float(np.nextafter(1, 0)))
        return smaller

    _doc_link_module = "skobd"
    _doc_link_template = API_PAGE

    def _sk_visual_block_(self) -> Any:
        """Return the block that notebooks show, in pipelines and searches too."""
        text = ""
        if self.__sklearn_is_fitted__():
            text = caption(self._fitted.pruned, (self.n_weights_total_, self.n_weights_))
        return single_block(self, text)

    def summary(self, input_features: Any = None) -> PruningSummary:
        """Compare the pruned network with the dense network that it was.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features,), default=None
            Names of all inputs, as in `get_used_feature_names`: in a pipeline
            ``pipe[:-1].get_feature_names_out()``.

        Returns
        -------
        summary : PruningSummary
            Layers, weights, inputs, bytes and multiply-adds before and after, and the names
            of the inputs that are no longer needed. It prints as a table and has fields to read.
        """
        check_is_fitted(self)
        names, is_used = self._features(input_features)
        counts = self.n_weights_total_, self.n_weights_
        unused, reason = list(names[~is_used]), self._fitted.stop_reason
        return summarise(type(self).__name__, self._fitted.pruned, counts, unused, reason)

    def to_sklearn(self) -> Any:
        """Convert to scikit-learn's own perceptron, with the same predictions.

        It can be used, and trained further, like any other perceptron. It has no masks, so
        further training brings deleted weights back. ``compact().to_sklearn()`` is smaller.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            Fitted perceptron.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For ``loss="poisson"`` with scikit-learn before 1.7.
        """
        check_is_fitted(self)
        fitted, params = self._fitted, self.get_params(deep=False)
        if isinstance(fitted.targets, NumberTargets):
            params["loss"] = fitted.targets.loss_name
        attributes = {
            name: getattr(self, name) for name in perceptron.ATTRIBUTES if hasattr(self, name)
        }
        if isinstance(fitted.targets, ClassTargets):
            attributes["_label_binarizer"] = fitted.targets.binarizer
        attributes["_no_improvement_count"] = fitted.state.n_no_improvement
        return perceptron.to_sklearn(self._sklearn_class, params, attributes, fitted.pruned)

    @classmethod
    def from_sklearn(cls, mlp: Any) -> "Self":
        """Make an estimator with the parameters and the network of a fitted scikit-learn one.

        ``from_sklearn(mlp).prune(X, y, prune_fraction=0.9)`` prunes a network that is already
        trained. The pruning parameters have their defaults; change them by ``set_params``.

        Parameters
        ----------
        mlp : MLPClassifier or MLPRegressor
            Fitted perceptron of the kind that corresponds to this class.

        Returns
        -------
        estimator : object
            Fitted estimator with the given network.

        Raises
        ------
        TypeError
            For anything but the corresponding perceptron.
        NotFittedError
            If it has not been fitted.
        ValueError
            If its weights are not finite.
        """
        perceptron.check_perceptron(cls._sklearn_class, mlp, cls.__name__)
        estimator: Any = cls()
        own = estimator.get_params(deep=False)
        given = mlp.get_params(deep=False)
        estimator.set_params(**{name: copy.deepcopy(given[name]) for name in own if name in given})
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(mlp, name):
                setattr(estimator, name, copy.deepcopy(getattr(mlp, name)))
        pruned = perceptron.network_of(mlp)
        if hidden_sizes(estimator) != pruned.network.layer_sizes[1:-1]:
            estimator.hidden_layer_sizes = pruned.network.layer_sizes[1:-1]
        targets: Targets
        if is_classifier(mlp):
            targets = ClassTargets(binarizer=copy.deepcopy(mlp._label_binarizer))
        else:
            is_poisson = mlp.out_activation_ == "exp"
            targets = NumberTargets("poisson" if is_poisson else "squared_error")
            estimator.loss = targets.loss_name
        estimator._fitted = replace(
            Fitted.untrained(pruned.network, pruned.theta, targets),
            early_stopping=stops_early(estimator),
            state=state_of(mlp),
            loss=float(mlp.loss_),
            n_iter=mlp.n_iter_,
        )
        return estimator

    def to_onnx(self, X: Any, *, used_features_only: bool = False, **kwargs: Any) -> Any:
        """Convert to ONNX.

        To convert a whole pipeline that ends in this estimator, call
        `skobd.register_onnx_converters` once, then ``skl2onnx.to_onnx(pipeline, X)``;
        `skobd.used_features_only` reduces the pipeline first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense sample that gives the names and types of the inputs; one row is enough.
        used_features_only : bool, default=False
            Whether the model takes only the columns in ``used_features_`` instead of all.
            ``X`` always has all columns.
        **kwargs
            Passed on to ``skl2onnx.to_onnx``. Probabilities are an array unless ``options`` say
            otherwise.

        Returns
        -------
        model : onnx.ModelProto
            Model with the outputs "label" and "probabilities", or "variable" for a regressor.

        Raises
        ------
        ImportError
            If skl2onnx is not installed.
        NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` has other columns than in ``fit``, or is not numeric.
        """
        skl2onnx = onnx.import_skl2onnx()
        check_is_fitted(self)
        onnx.register(converted, type(self))
        rows = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        # The types are those of X; every column of a data frame is an input of its own.
        sample = X if hasattr(X, "shape") else rows
        if used_features_only:
            columns = _safe_indexing(sample, self._kept_inputs(), axis=1)
            return self.compact(inputs=True).to_onnx(columns, **kwargs)
        if is_classifier(self):
            kwargs.setdefault("options", {id(self): {"zipmap": False}})
        return skl2onnx.to_onnx(self, sample[:1], **kwargs)

    def to_c(
        self,
        name: str = "model",
        used_features_only: bool = False,
        *,
        path: Any = None,
        X: Any = None,
        y: Any = None,
        dtype: str = "int8",
        arithmetic: str = "float",
        self_test: int = 0,
    ) -> CCode:
        """Write C code for microcontrollers: sparse, in 8 bits.

        The function `to_c` writes a whole pipeline, from its raw columns; its documentation lists
        the functions that the code defines.

        Parameters
        ----------
        name : str, default="model"
            Prefix of all names that are defined; must be a C identifier.
        used_features_only : bool, default=False
            Whether the code takes only the columns in ``used_features_`` instead of all.
        path : path-like, default=None
            File to write; None writes no file.
        X : array-like of shape (n_samples, n_features), default=None
            Rows typical of those to predict; required by integer arithmetic.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets of ``X``, for the accuracies stated in the comment.
        dtype : {"int8", "float32"}, default="int8"
            Storage of the weights: 8 bits with a scale for each unit, or single precision.
        arithmetic : {"float", "int"}, default="float"
            Whether the code computes in single precision or in integers.
        self_test : int, default=0
            Number of rows of ``X`` for a ``main`` that returns how many of them get another
            prediction than expected.

        Returns
        -------
        code : CCode
            Text of a complete header file; see `to_c`.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            If a parameter is out of range, or ``X`` does not fit the network.
        """
        return to_c(
            self,
            name=name,
            path=path,
            X=X,
            y=y,
            dtype=dtype,
            arithmetic=arithmetic,
            self_test=self_test,
            used_features_only=used_features_only,
        )
