"""The base class of the estimators: it validates, calls and stores, without mathematics."""

import math
import sys
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .._net.network import Array
from .._net.packing import pack_plain, unpack_plain
from .._prune.criteria import CRITERIA, check_block_size
from .._prune.curvature import diagonal_curvature
from .._prune.deletion_problem import DeletionProblem, check_no_overflow
from .._prune.regrowth import predicted_decreases
from .._prune.schedule import Levels, geometric_levels
from .._sklearn_compat import (
    CallbackSupportMixin,
    _fit_context,
    callback_management_context,
    hand_down_callbacks,
    with_callbacks,
)
from .._threads import reproducible_threads
from .._train.solvers import DivergenceError
from .._train.updates import UPDATES
from .data import Given, validate_inputs
from .exports import Exports
from .fit import begin, begin_pruning, deletion_problem, level_asked_for
from .fitted import Fitted
from .parameters import PARAMETER_CONSTRAINTS
from .path import PathBuilder, PruningPath
from .session import fitting, ignore_fp_errors
from .targets import Targets

if TYPE_CHECKING:
    from typing_extensions import Self

# Up to this many numbers, BLAS's product of them with themselves is the fastest sum.
_FEW_NUMBERS = 9000


def _sum_is_finite(array: Array) -> bool:
    """Return whether a sum proves all numbers finite; it may overflow although they are."""
    total = np.vdot(array, array) if array.size <= _FEW_NUMBERS else array.sum()
    return math.isfinite(total)


def _ready(X: Any, dtype: np.dtype, n_features: int) -> Array | None:
    """Return the array that scikit-learn's validation would return; None if it must decide.

    That validation looks for data frames of every kind, which takes ten times as long as
    predicting a row.
    """
    if type(X) is np.ndarray and X.ndim == 2 and X.shape[1] == n_features:
        if X.dtype != dtype and X.dtype.kind in "fiub":
            X = X.astype(dtype)
        if X.dtype == dtype and X.shape[0] and _sum_is_finite(X):
            return X
    return None


class BaseOBDMLP(Exports, CallbackSupportMixin, BaseEstimator):
    """Base of `OBDMLPClassifier` and `OBDMLPRegressor`."""

    _parameter_constraints: dict = PARAMETER_CONSTRAINTS

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_fitted" in state:
            state["_fitted"] = state["_fitted"].pack()
        if "feature_names_in_" in state:
            state["feature_names_in_"] = state["feature_names_in_"].tolist()
        return pack_plain(state)

    def __setstate__(self, state):
        state = unpack_plain(state)
        if "_fitted" in state:
            state["_fitted"] = Fitted.unpack(state["_fitted"])
        if "feature_names_in_" in state:
            state["feature_names_in_"] = np.array(state["feature_names_in_"], dtype=object)
        super().__setstate__(state)

    def _validate_params(self) -> None:
        super()._validate_params()
        for name, value in self.get_params(deep=False).items():
            # Python's integers have no limit, but the arithmetic uses floating-point numbers.
            if isinstance(value, Integral) and int(value) > sys.float_info.max:
                raise ValueError(
                    f"{name} must be at most {sys.float_info.max:.3g}, got an integer of "
                    f"{int(value).bit_length()} bits."
                )

    # ------------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> "Self":
        """Train, then prune in rounds.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, non-negative, not all zero. A factor common to all of them
            makes no difference. If every positive weight is a whole multiple of the smallest (up
            to 10 000 times), k times the smallest weight counts as k rows of the smallest;
            otherwise the mean of the positive weights counts as one sample. For equal weights, for
            counts whose smallest is 1, and for weights of mean 1 this is scikit-learn's
            objective; for other weights scikit-learn divides ``alpha`` by their sum.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data: loss and score on them are recorded after every epoch, and with
            ``early_stopping=True`` they replace the held-out fraction.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation data.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            For invalid data or parameters, and if training diverges. The estimator is then left
            as it was.
        """
        known = self._fitted if self.warm_start and self.__sklearn_is_fitted__() else None
        held_out = Given(X_val, y_val, sample_weight_val)
        with fitting(self):
            run = begin(self, known, Given(X, y, sample_weight), held_out)
            (self._fitted,) = run
        run.tasks.end()
        return self

    @with_callbacks
    def prune(
        self,
        X: Any,
        y: Any,
        *,
        prune_fraction: float | str | None = None,
        n_rounds: int | None = None,
        sample_weight: Any = None,
    ) -> "Self":
        """Prune a fitted network further, retraining after each round.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data on which saliencies are computed and the survivors are retrained. With
            ``early_stopping=True`` a fraction is held out; with the same data and an integer
            ``random_state`` it is the one that ``fit`` held out.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        prune_fraction : "auto" or float in [0, 1), default=None
            Fraction of the dense network's weights, units or inputs (see ``granularity``) that is
            deleted at the end; None for the constructor's. A float must not be below the present
            one. "auto" prunes up to 7/8, as long as the network is not worse than the present one
            by more than ``prune_tol`` allows; if 7/8 are deleted already it does nothing.
        n_rounds : int, default=None
            Number of rounds, at least 1; None for the constructor's.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The same estimator, pruned.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For a level below the present one, and for invalid data. The estimator is then left
            as it was.
        """
        check_is_fitted(self)
        self._validate_params()
        given = Given(X, y, sample_weight)
        with fitting(self):
            run = begin_pruning(self, self._fitted, given, prune_fraction, n_rounds)
            (self._fitted,) = run
        run.tasks.end()
        return self

    def pruning_path(
        self,
        X: Any,
        y: Any,
        *,
        prune_fractions: Any = None,
        sizes: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> PruningPath:
        """Train and prune along a path of levels, and keep the network at each one.

        This estimator is not changed: the path belongs to a clone of it. Every level is reached,
        even with ``prune_fraction="auto"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        prune_fractions : array-like of shape (n_levels,), default=None
            Fractions deleted of what ``granularity`` deletes, in [0, 1); they are sorted, and
            duplicates are dropped. Each takes one round, and the ``n_regrow`` cycles of regrowth
            are divided among them, so that a path costs about as much as a fit. The dense network
            always comes first, as level 0. None, without ``sizes``, means the levels of ``fit``
            with ``prune_fraction`` (7/8 for "auto") and ``n_rounds``, with all cycles at the last.
        sizes : array-like of int of shape (n_levels,), default=None
            Numbers of weights (or units or inputs, see ``granularity``) that are left, at least 1,
            in place of ``prune_fractions``. A size that this network cannot have is skipped with a
            warning.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data: loss and score on them are recorded at every level.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation data.

        Returns
        -------
        path : PruningPath
            A `Bunch` of arrays of shape (n_steps,), from dense to sparse: ``prune_fractions``,
            the columns of ``pruning_history_`` (``n_weights``, ``sparsity``, ``loss_before``,
            ``predicted_increase``, ``loss_after_deletion``, ``loss_after_retraining``,
            ``n_iter``, and with validation data ``validation_loss`` and ``validation_score``)
            and ``fit_time``. ``path.estimator_at(index)`` gives the fitted estimator at a step.

        Raises
        ------
        ValueError
            For fractions outside [0, 1), for sizes none of which this network can have, for both
            fractions and sizes, and as ``fit`` does.
        """
        self._validate_params()
        if prune_fractions is None and sizes is None:
            own = geometric_levels(level_asked_for(self)[0], self.n_rounds)
            levels = Levels(tuple(own), are_own=True)
        else:
            levels = Levels.of(prune_fractions, sizes)
        mlp = clone(self)
        hand_down_callbacks(self, mlp)
        given = Given(X, y, sample_weight)
        held_out = Given(X_val, y_val, sample_weight_val)
        with callback_management_context(mlp), fitting(mlp):
            run = begin(mlp, None, given, held_out, levels)
            path = PathBuilder(mlp, run.levels, levels.are_own)
            try:
                for fitted in run:
                    path.add(fitted)
            except DivergenceError as error:
                error.path = path.built()
                raise
            run.tasks.end(lambda: {"_fitted": fitted})
            return path.built(run.is_interrupted)

    def _has_epochs(self) -> bool:
        if self.solver not in UPDATES:
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers ({', '.join(UPDATES)}); "
                f"solver={self.solver!r} is not stochastic."
            )
        return True

    # ------------------------------------------------------------------ second derivatives

    def second_derivatives(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Compute the diagonal second derivatives of the training objective.

        They are taken at the fitted parameters by the backward passes of ``curvature`` (LeCun,
        Denker & Solla, 1989, equations 6 to 8), averaged over the samples, and include the penalty
        ``alpha``. As in scikit-learn ``alpha`` is shared by all samples with L-BFGS, and by those
        of a minibatch with the other solvers: the second derivatives of the penalty are
        ``alpha / n_samples``, or ``alpha / batch_size``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data of the objective.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        derivatives : Bunch
            ``coefs`` and ``intercepts``: lists of arrays shaped like ``coefs_`` and
            ``intercepts_``, in units of the objective per squared unit of the parameter.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For invalid data or parameters.
        """
        with ignore_fp_errors(), reproducible_threads():
            problem = self._problem(X, y, sample_weight)
            curvature = diagonal_curvature(problem.objective, problem.theta, self.curvature)
            check_no_overflow(curvature, "Second derivatives")
            return self._unpack(curvature)

    def saliencies(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Predict the increase of the training objective for the deletion of each parameter.

        It is h_kk u_k^2 / 2 for ``criterion="obd"`` (LeCun, Denker & Solla, 1989, equation 5), and
        as documented at ``criterion`` for the others. A deleted parameter has saliency 0. Those of
        ``"unit_obs"`` and ``"obs"`` include the damping of the Hessian by 1e-4 of its diagonal,
        which matters if inputs are almost collinear; ``predicted_increase`` in
        ``pruning_history_`` does not include it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data of the objective.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        saliencies : Bunch
            ``coefs`` and ``intercepts``: lists of arrays shaped like ``coefs_`` and
            ``intercepts_``, in units of the objective (of the weight for ``"magnitude"``).

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For invalid data or parameters, and for Hessian blocks too large to invert.
        """
        with ignore_fp_errors(), reproducible_threads():
            problem = self._problem(X, y, sample_weight)
            check_block_size(self.criterion, problem.network, problem.mask)
            return self._unpack(CRITERIA[self.criterion].saliencies(problem))

    def predicted_decreases(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Predict the decrease of the training objective for the return of each deleted parameter.

        It is g_k^2 / (2 h_kk), with g the gradient and h the second derivatives of the objective:
        the decrease of the quadratic model to its minimum over parameter k, and the counterpart of
        `saliencies`. Regrowth chooses by it. It is 0 for a parameter that survives, and for one
        that has no effect because its unit has no inputs or no outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data of the objective.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        decreases : Bunch
            ``coefs`` and ``intercepts``: lists of arrays shaped like ``coefs_`` and
            ``intercepts_``, in units of the objective.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For invalid data or parameters.
        """
        with ignore_fp_errors(), reproducible_threads():
            return self._unpack(predicted_decreases(self._problem(X, y, sample_weight)))

    def _problem(self, X: Any, y: Any, sample_weight: Any) -> DeletionProblem:
        check_is_fitted(self)
        self._validate_params()
        return deletion_problem(self, self._fitted, Given(X, y, sample_weight))

    def _unpack(self, vector: Array) -> Bunch:
        network = self._fitted.pruned.network
        return Bunch(coefs=network.coefs(vector), intercepts=network.intercepts(vector))

    # ------------------------------------------------------------------ prediction

    def _output(self, X: Any, is_raw: bool = False) -> Array:
        """Return the output (n_samples, n_outputs), raw or not, for unvalidated input."""
        if not self.__sklearn_is_fitted__():  # the full check takes as long as predicting a row
            check_is_fitted(self)
        fitted = self._fitted
        dtype, n_features = fitted.pruned.theta.dtype, fitted.pruned.network.layer_sizes[0]
        with ignore_fp_errors():
            has_names = hasattr(self, "feature_names_in_")
            ready = None if has_names else _ready(X, dtype, n_features)
            if ready is None:
                ready = validate_inputs(self, X, dtype, reset=False)
            predict = fitted.pruned.predictor.output
            output = predict(ready, None if is_raw else fitted.targets.loss.inverse_link)
            if not _sum_is_finite(output):
                # Infinity in the raw output may be a valid probability of 0 or 1.
                if not np.isfinite(predict(ready, fitted.targets.loss.inverse_link)).all():
                    raise ValueError(
                        "X has values too large for this network: its output overflows "
                        f"{dtype}. Scale X as the training data were scaled."
                    )
        return output

    if TYPE_CHECKING:  # scikit-learn's mixins define it, untyped

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """Return the score as scikit-learn does."""

    # ------------------------------------------------------------------ differences between kinds

    _sklearn_class: type

    def _targets(self, known: Targets | None) -> Targets:
        """Return targets for the parameters; they take the classes of the ``known`` ones."""
        raise NotImplementedError

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
