"""Leaving and entering: compacted estimators, scikit-learn's own perceptrons, ONNX, C."""

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from ._compaction import compact
from ._network import Network
from ._onnx import import_skl2onnx
from ._summary import summarise

# What scikit-learn's perceptrons know about their training.
_RECORDS = (
    "n_iter_",
    "t_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)
_SHAPE = ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "feature_names_in_")
_TARGETS = ("classes_", "_label_binarizer")


class ExportMixin:
    """What a fitted estimator can be turned into, and made from."""

    if TYPE_CHECKING:
        # The estimator's own attributes.
        def __getattr__(self, name: str) -> Any: ...

    # ------------------------------------------------------------------ what is left

    @property
    def used_features_(self) -> np.ndarray:
        """Indices of the inputs that the predictions depend on, ascending."""
        return self._get_predictor().used_inputs

    def get_used_feature_names(self) -> np.ndarray:
        """Names of the inputs that the predictions depend on.

        Returns
        -------
        names : ndarray of str
            From ``feature_names_in_``, or "x0", "x1", ... where ``X`` had no names.
        """
        check_is_fitted(self)
        return self._all_feature_names()[self.used_features_]

    def _all_feature_names(self) -> np.ndarray:
        if hasattr(self, "feature_names_in_"):
            return self.feature_names_in_
        return np.array([f"x{index}" for index in range(self.n_features_in_)], dtype=object)

    def compact(self):
        """A fitted estimator without the dead hidden units.

        Units that lost all incoming weights are folded into the intercepts of the next layer,
        and units that lost all outgoing weights are dropped; each layer keeps at least one. The
        inputs are still the original columns; those not in ``used_features_`` may hold anything
        finite. Levels count from the smaller network on: of the parameters,
        ``hidden_layer_sizes`` changes, and ``prune_fraction`` becomes its ``sparsity_``, so that
        going on with ``warm_start=True`` does not prune it again.

        Returns
        -------
        smaller : object
            An independent estimator with the same predictions up to rounding.
        """
        check_is_fitted(self)
        compaction = compact(self._network, self._theta, self._mask, keep_inputs=True)
        smaller = copy.deepcopy(self)
        smaller.hidden_layer_sizes = compaction.network.layer_sizes[1:-1]
        smaller._network = compaction.network
        smaller._theta, smaller._mask = compaction.theta, compaction.mask
        smaller._optimizer_state = None
        smaller.prune_fraction = max(smaller.sparsity_, 0.0)
        return smaller

    def summary(self) -> str:
        """A few lines on what pruning has achieved.

        Returns
        -------
        text : str
            Layers before and after, weights, multiply-adds for one row (as prediction stores
            the layers: surviving weights of sparse ones, all of dense ones), bytes on disk, and
            the inputs that are no longer needed, by name.
        """
        check_is_fitted(self)
        return summarise(self)

    # ------------------------------------------------------------------ scikit-learn

    def to_sklearn(self):
        """A fitted `MLPClassifier` or `MLPRegressor` with the same predictions.

        It can be used, and trained further, like any other; it knows no masks, so that training
        brings deleted weights back to life. ``compact().to_sklearn()`` gives the smaller one.

        Returns
        -------
        mlp : MLPClassifier or MLPRegressor

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For ``loss="poisson"`` with scikit-learn before 1.7.
        """
        check_is_fitted(self)
        mlp = self._sklearn_class()
        names = mlp.get_params()
        if self._fitted_loss not in (None, "squared_error") and "loss" not in names:
            raise ValueError(
                f"MLPRegressor has loss={self._fitted_loss!r} only from scikit-learn 1.7 on: "
                "upgrade scikit-learn, or use to_onnx()."
            )
        # What the network was fitted with, whatever `set_params` made of it since.
        fitted = {"activation": self._network.activation, "loss": self._fitted_loss}
        own = self.get_params(deep=False) | fitted
        mlp.set_params(**{name: copy.deepcopy(own[name]) for name in names if name in own})
        theta = self._survivors_only
        mlp.coefs_ = [coef.copy() for coef in self._network.coefs(theta)]
        mlp.intercepts_ = [intercept.copy() for intercept in self._network.intercepts(theta)]
        if self.early_stopping:
            # Where a warm start goes back to if no epoch is better.
            mlp._best_coefs = copy.deepcopy(mlp.coefs_)
            mlp._best_intercepts = copy.deepcopy(mlp.intercepts_)
        for name in (*_RECORDS, *_SHAPE, *_TARGETS):
            if hasattr(self, name):
                setattr(mlp, name, copy.deepcopy(getattr(self, name)))
        mlp._no_improvement_count = self._journal.n_no_improvement
        return mlp

    @classmethod
    def from_sklearn(cls, mlp):
        """An estimator with the parameters and the network of a fitted scikit-learn one.

        ``from_sklearn(mlp).prune(X, y, prune_fraction=0.9)`` prunes a network that is already
        trained. The pruning parameters have their defaults; change them by ``set_params``.

        Parameters
        ----------
        mlp : MLPClassifier or MLPRegressor
            Fitted, of the kind that corresponds to this class.

        Returns
        -------
        estimator : object

        Raises
        ------
        TypeError
            For anything but the corresponding perceptron.
        NotFittedError
            If it has not been fitted.
        ValueError
            If its weights are not finite.
        """
        kind = cls._sklearn_class
        if not isinstance(mlp, kind):
            other = {MLPClassifier: "OBDMLPRegressor", MLPRegressor: "OBDMLPClassifier"}[kind]
            cure = f" (use {other} for it)" if isinstance(mlp, MLPClassifier | MLPRegressor) else ""
            raise TypeError(
                f"{cls.__name__}.from_sklearn needs a fitted sklearn.neural_network."
                f"{kind.__name__}, got {type(mlp).__name__}{cure}; of a pipeline or a search, "
                "give the perceptron inside, such as pipeline[-1]."
            )
        check_is_fitted(
            mlp, "coefs_", msg="This %(name)s is not fitted: call fit before from_sklearn."
        )
        estimator = cls()
        own = estimator.get_params(deep=False)
        given = mlp.get_params(deep=False)
        estimator.set_params(**{name: copy.deepcopy(given[name]) for name in own if name in given})
        for name in ("n_features_in_", "feature_names_in_", *_TARGETS):
            if hasattr(mlp, name):
                setattr(estimator, name, copy.deepcopy(getattr(mlp, name)))
        estimator._adopt(mlp)
        return estimator

    def _adopt(self, mlp: Any) -> None:
        """Take over the network of a perceptron and what is known about its training."""
        sizes = (mlp.coefs_[0].shape[0], *(coef.shape[1] for coef in mlp.coefs_))
        if self._hidden_sizes() != sizes[1:-1]:
            self.hidden_layer_sizes = sizes[1:-1]
        layers = zip(mlp.coefs_, mlp.intercepts_, strict=True)
        theta = np.concatenate([part.ravel() for layer in layers for part in layer])
        assert_all_finite(theta, input_name="coefs_ and intercepts_")
        if not self._is_classifier:
            self.loss = "poisson" if mlp.out_activation_ == "exp" else "squared_error"
        self._begin(Network(sizes, self.activation), theta)
        self._journal.loss_curve = list(getattr(mlp, "loss_curve_", []))
        self._journal.validation_scores = list(getattr(mlp, "validation_scores_", None) or [])
        self._journal.n_samples_seen = int(mlp.t_)
        self._record_training(mlp.loss_, mlp.n_iter_)

    # ------------------------------------------------------------------ ONNX

    def to_onnx(self, X, **kwargs):
        """Convert to ONNX.

        The converters are registered with skl2onnx, so that ``skl2onnx.to_onnx(pipeline, X)``
        converts a whole pipeline that ends in this estimator.

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
        skl2onnx = import_skl2onnx()
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        if self._is_classifier:
            kwargs.setdefault("options", {id(self): {"zipmap": False}})
        # With the types it has; of a data frame every column is an input of its own.
        sample = X if hasattr(X, "shape") else rows
        return skl2onnx.to_onnx(self, sample[:1], **kwargs)

    # ------------------------------------------------------------------ C

    def to_c(self, name="model", used_features_only=False):
        """C code of the compacted network for microcontrollers, by emlearn.

        emlearn also compiles it, which needs a C compiler and leaves files in the folder ``tmp``.
        The code includes ``eml_net.h`` (in the folder ``emlearn.includedir``) and defines
        ``<name>_predict``, which returns the index of the class, and ``<name>_regress``.

        Parameters
        ----------
        name : str, default="model"
            Prefix of everything that is defined; an identifier of C.
        used_features_only : bool, default=False
            Whether the code takes only the columns in ``used_features_``, which saves memory,
            instead of all.

        Returns
        -------
        code : str

        Raises
        ------
        ImportError
            If emlearn is not installed.
        NotFittedError
            Before ``fit``.
        ValueError
            If ``name`` is no identifier, and for what emlearn cannot express: multilabel targets,
            Poisson regression, and networks without hidden layers.
        """
        check_is_fitted(self)
        if not (isinstance(name, str) and name.isascii() and name.isidentifier()):
            raise ValueError(f"name must be an identifier of C, got {name!r}.")
        self._check_expressible_in_c()
        try:
            # emlearn makes NumPy raise on every underflow, and would leave it so.
            with np.errstate():
                import emlearn
        except ImportError as error:
            raise ImportError(
                "Exporting to C needs emlearn: pip install skobd[c]. To deploy without it, see "
                "to_sklearn() and to_onnx()."
            ) from error
        mlp = self.compact().to_sklearn()
        if used_features_only:
            used = self.used_features_ if self.used_features_.size else [0]
            mlp.coefs_[0] = mlp.coefs_[0][used]
        kind = "classifier" if self._is_classifier else "regressor"
        return emlearn.convert(mlp, method="loadable", return_type=kind).save(name=name)

    def _check_expressible_in_c(self) -> None:
        if self.n_layers_ < 3:
            raise ValueError(
                "emlearn has no networks without hidden layers: fit with hidden_layer_sizes of at "
                "least one layer, or write out coefs_[0] and intercepts_[0]."
            )
        if self.out_activation_ == "exp":
            raise ValueError(
                "emlearn has no exponential output, which loss='poisson' needs: use to_onnx(), or "
                "fit log(y) with loss='squared_error'."
            )
        if self._is_classifier and self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(
                "emlearn has no multilabel targets: use to_onnx(), or one classifier per label "
                "(sklearn.multioutput.MultiOutputClassifier)."
            )
