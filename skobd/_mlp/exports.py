"""How a fitted estimator leaves: compacted, as text, and for other libraries."""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted, validate_data

from .._export import onnx, perceptron
from .._export.c import CCode
from .._export.summary import PruningSummary, caption, summarise
from .._sklearn_compat import API_PAGE, single_block
from .attributes import FittedAttributes
from .c_code import to_c
from .fit import hidden_sizes, stops_early
from .fitted import Fitted, state_of
from .targets import ClassTargets, NumberTargets, Targets

if TYPE_CHECKING:
    from typing_extensions import Self


def converted(estimator: Any) -> onnx.Converted:
    """Return what of a fitted estimator is converted to ONNX."""
    fitted: Fitted = estimator._fitted
    link = fitted.targets.loss.out_activation
    if not isinstance(fitted.targets, ClassTargets):
        return onnx.Converted(fitted.pruned, link)
    classes, is_multilabel = fitted.targets.classes, fitted.targets.is_multilabel
    return onnx.Converted(fitted.pruned, link, classes, is_multilabel)


class Exports(FittedAttributes):
    """The estimator in other forms."""

    hidden_layer_sizes: Any
    prune_fraction: float | str
    get_params: Any
    _sklearn_class: type

    def compact(self) -> "Self":
        """Make a fitted estimator without the dead hidden units.

        Units that lost all incoming weights are folded into the intercepts of the next layer,
        and units that lost all outgoing weights are dropped; each layer keeps at least one. The
        inputs are still the original columns; those not in ``used_features_`` may hold anything
        finite. Levels count from the smaller network on: of the parameters,
        ``hidden_layer_sizes`` changes, and ``prune_fraction`` becomes its present level, so that
        going on with ``warm_start=True`` does not prune it again.

        Returns
        -------
        smaller : object
            An independent estimator with the same predictions up to rounding.
        """
        check_is_fitted(self)
        pruned = self._fitted.pruned.compacted()
        smaller = copy.deepcopy(self)
        smaller.hidden_layer_sizes = pruned.network.layer_sizes[1:-1]
        smaller._fitted = replace(smaller._fitted, pruned=pruned).without_optimizer()
        # Of nothing left the largest level that the parameter can have.
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

    def summary(self) -> PruningSummary:
        """Summarise what pruning has left, beside the dense network that it was.

        Returns
        -------
        summary : PruningSummary
            Layers, weights, inputs, bytes and multiply-adds before and after, and the inputs
            that are no longer needed, by name: printed a table, with fields to read.
        """
        check_is_fitted(self)
        names, is_used = self._features()
        counts = self.n_weights_total_, self.n_weights_
        unused, reason = list(names[~is_used]), self._fitted.stop_reason
        return summarise(type(self).__name__, self._fitted.pruned, counts, unused, reason)

    def to_sklearn(self) -> Any:
        """Convert to scikit-learn's own perceptron, with the same predictions.

        It can be used, and trained further, like any other; it knows no masks, so that training
        brings deleted weights back to life. ``compact().to_sklearn()`` gives the smaller one.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor
            Fitted.

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
            Fitted, of the kind that corresponds to this class.

        Returns
        -------
        estimator : object
            Fitted, with the network given.

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

    def to_onnx(self, X: Any, **kwargs: Any) -> Any:
        """Convert to ONNX.

        To convert a whole pipeline that ends in this estimator, call
        `skobd.register_onnx_converters` once, then ``skl2onnx.to_onnx(pipeline, X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A sample that gives names and types of the inputs, dense; one row is enough.
        **kwargs
            Passed on to ``skl2onnx.to_onnx``. Probabilities are an array unless ``options`` say
            otherwise.

        Returns
        -------
        model : onnx.ModelProto
            With the outputs "label" and "probabilities", or "variable" for a regressor.

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
        if is_classifier(self):
            kwargs.setdefault("options", {id(self): {"zipmap": False}})
        # With the types it has; of a data frame every column is an input of its own.
        sample = X if hasattr(X, "shape") else rows
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

        `to_c` writes a whole pipeline, from its raw columns, and says what the code defines.

        Parameters
        ----------
        name : str, default="model"
            Beginning of all names that are defined; an identifier of C.
        used_features_only : bool, default=False
            Whether the code takes only the columns in ``used_features_`` instead of all.
        path : path-like, default=None
            File to be written; None for none.
        X : array-like of shape (n_samples, n_features), default=None
            Rows such as those to be expected; integer arithmetic needs them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets of ``X``, for accuracies in the comment.
        dtype : {"int8", "float32"}, default="int8"
            How weights are stored: in 8 bits with a scale for each unit, or in single precision.
        arithmetic : {"float", "int"}, default="float"
            Whether it computes in single precision or in integers.
        self_test : int, default=0
            Rows of ``X`` for a ``main`` that returns how many are predicted otherwise than
            expected.

        Returns
        -------
        code : CCode
            Source text, a header file as a whole; see `to_c`.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For parameters out of their range, and ``X`` that does not fit the network.
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
