"""What the estimators share: they validate, call and store; the mathematics is elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch, check_random_state, check_scalar
from sklearn.utils.validation import assert_all_finite, check_is_fitted, validate_data

from .._net.network import Array, Network
from .._prune.blocks import check_block_size
from .._prune.cost import check_cost
from .._prune.criteria import CRITERIA
from .._prune.curvature import diagonal_curvature
from .._prune.granularity import GRANULARITIES
from .._prune.problem import DeletionSettings, Problem, check_no_overflow
from .._prune.regrowth import predicted_decreases
from .._prune.schedule import check_levels, survivor_schedule, survivors_at
from .._sklearn_compat import CallbackSupportMixin, _fit_context, with_callbacks
from .._threads import reproducible_threads
from .._train.compiled import check_engine
from .._train.objective import Objective
from .._train.solvers import Training, check_finite, solve
from .._train.updates import UPDATES, SolverSettings, batch_size_of
from .arithmetic import quiet
from .callbacks import FitTasks
from .data import (
    Data,
    all_or_nothing,
    check_batch_size,
    check_scale,
    set_aside,
    validate,
    validate_held_out,
)
from .exports import Exports
from .feature_groups import groups_of_parameters
from .fitted import Fitted
from .parameters import PARAMETER_CONSTRAINTS
from .path import AlongPath, PruningPath
from .run import INTERRUPTED, Run, recipe_of, settings_of, tell_of_numba
from .warning import tell

if TYPE_CHECKING:
    from typing_extensions import Self


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
    )


class BaseOBDMLP(Exports, CallbackSupportMixin, BaseEstimator):
    """Base of `OBDMLPClassifier` and `OBDMLPRegressor`."""

    _parameter_constraints: dict = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        *,
        hidden_layer_sizes,
        activation,
        solver,
        alpha,
        batch_size,
        learning_rate,
        learning_rate_init,
        power_t,
        max_iter,
        shuffle,
        random_state,
        tol,
        verbose,
        warm_start,
        momentum,
        nesterovs_momentum,
        early_stopping,
        validation_fraction,
        beta_1,
        beta_2,
        epsilon,
        n_iter_no_change,
        max_fun,
        prune_fraction,
        n_rounds,
        criterion,
        curvature,
        granularity,
        feature_groups,
        prune_intercepts,
        retrain_max_iter,
        retrain_learning_rate_init,
        retrain_alpha,
        n_regrow,
        prune_tol,
        engine,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.prune_fraction = prune_fraction
        self.n_rounds = n_rounds
        self.criterion = criterion
        self.curvature = curvature
        self.granularity = granularity
        self.feature_groups = feature_groups
        self.prune_intercepts = prune_intercepts
        self.retrain_max_iter = retrain_max_iter
        self.retrain_learning_rate_init = retrain_learning_rate_init
        self.retrain_alpha = retrain_alpha
        self.n_regrow = n_regrow
        self.prune_tol = prune_tol
        self.engine = engine

    def __getstate__(self):
        state = super().__getstate__()
        if "_fitted" not in state:
            return state
        return state | {"_fitted": state["_fitted"].pack()}

    def __setstate__(self, state):
        if "_fitted" in state:
            state = state | {"_fitted": Fitted.unpack(state["_fitted"])}
        super().__setstate__(state)

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
            Weights of the samples, non-negative, not all zero.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data: loss and score on them are recorded after every epoch, and with
            ``early_stopping=True`` they take the place of the held-out fraction.
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
        self._fit((X, y, sample_weight), (X_val, y_val, sample_weight_val))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit_along(
        self,
        levels: Sequence[float] | None,
        record: Callable[[Fitted, float], None],
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> bool:
        """Fit along levels, or those of the parameters; returns whether it was interrupted.

        ``record`` is shown the network at every level, and the seconds it took.
        """
        held_out = X_val, y_val, sample_weight_val
        return self._fit((X, y, sample_weight), held_out, levels, record)

    def _fit(
        self,
        given: tuple[Any, Any, Any],
        held_out: tuple[Any, Any, Any],
        levels: Sequence[float] | None = None,
        record: Callable[[Fitted, float], None] | None = None,
    ) -> bool:
        check_engine(self.engine)
        n_rounds = self.n_rounds if self.prune_fraction > 0 else 0
        tasks = self._tasks(*given, n_rounds if levels is None else len(levels))
        with quiet(), all_or_nothing(self), reproducible_threads():
            run = self._run_of_fit(given, held_out, tasks, levels, record is not None)
            self._fitted = run.finish(record)
            # Made here, because the first prediction must not take longer than others.
            self._fitted.pruned.predictor  # noqa: B018
            run.warn()
        tasks.end()
        return run.is_interrupted

    def _run_of_fit(
        self,
        given: tuple[Any, Any, Any],
        held_out: tuple[Any, Any, Any],
        tasks: FitTasks,
        levels: Sequence[float] | None,
        is_path: bool,
    ) -> Run:
        """Validate what ``fit`` is given; levels take the place of the parameters' own."""
        anew = not (self.warm_start and self.__sklearn_is_fitted__())
        data = validate(self, *given, reset=anew, same_classes=not anew)
        data_val = validate_held_out(self, *held_out, data)
        rng = check_random_state(self.random_state)
        if anew:
            check_scale(self, data)
            self._initialise(data, rng)
        else:
            self._check_shapes(data)
        data, data_val = set_aside(self, data, data_val, rng)
        fitted = self._begun(self._fitted)
        if levels is None:
            survivors = survivor_schedule(
                fitted.n_total, fitted.n_left, self.prune_fraction, self.n_rounds
            )
        else:
            survivors = survivors_at(levels, fitted.n_total)
        # Of a path every level is reached.
        prune_tol = None if is_path else self.prune_tol
        is_asked = self.prune_fraction > 0 and self.n_rounds > 0 if levels is None else bool(levels)
        return self._run(
            data, data_val, rng, survivors, tasks, prune_tol, is_asked=is_asked, is_path=is_path
        )

    @with_callbacks
    def prune(
        self,
        X: Any,
        y: Any,
        prune_fraction: float | None = None,
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
        prune_fraction : float in [0, 1), default=None
            Fraction gone at the end of what ``granularity`` deletes, of the dense network; None
            for the constructor's. Not below the present one.
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
        check_engine(self.engine)
        fraction = self.prune_fraction if prune_fraction is None else prune_fraction
        rounds = self.n_rounds if n_rounds is None else n_rounds
        check_scalar(
            fraction, "prune_fraction", Real, min_val=0, max_val=1, include_boundaries="left"
        )
        if np.isnan(fraction):
            raise ValueError("prune_fraction is NaN; it must be in [0, 1).")
        check_scalar(rounds, "n_rounds", Integral, min_val=1)
        fitted = self._begun(self._fitted)
        if survivors_at([fraction], fitted.n_total)[0] > fitted.n_left:
            gone = 1 - fitted.n_left / fitted.n_total
            unit = GRANULARITIES[self.granularity].unit
            raise ValueError(
                f"prune_fraction={fraction} is below the present level: of {fitted.n_total} "
                f"{unit} {fitted.n_left} are left, and between levels none comes back. Give a "
                f"fraction in [{gone:.6g}, 1), or fit again."
            )
        tasks = self._tasks(X, y, sample_weight, rounds, train=False)
        with quiet(), all_or_nothing(self), reproducible_threads():
            data = validate(self, X, y, sample_weight, reset=False)
            self._check_shapes(data)
            self._fitted = fitted
            rng = check_random_state(self.random_state)
            if self._stops_early:
                # As in fit, so that with the same seed and data the same rows are held out: the
                # others have been trained on.
                fitted.pruned.network.initialise(rng, data.X.dtype)
            data, data_val = set_aside(self, data, None, rng)
            survivors = survivor_schedule(fitted.n_total, fitted.n_left, fraction, rounds)
            is_asked = fraction > 0
            run = self._run(
                data, data_val, rng, survivors, tasks, self.prune_tol, is_asked, train=False
            )
            self._fitted = run.finish()
            run.warn()
        tasks.end()
        return self

    def pruning_path(
        self,
        X: Any,
        y: Any,
        prune_fractions: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> PruningPath:
        """Train and prune along a path of levels, and keep the network at every one of them.

        This estimator is not changed: the path belongs to a clone of it. ``prune_tol`` is
        ignored, so that every level is reached.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        prune_fractions : array-like of shape (n_levels,), default=None
            Fractions gone of what ``granularity`` deletes, in [0, 1); sorted, and each taken
            once. One round is made for each, with ``n_regrow`` cycles of regrowth. The dense
            network always comes first, as level 0. None: the levels that ``prune_fraction`` and
            ``n_rounds`` make in ``fit``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation data: loss and score on them are recorded at every level.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation data.

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
            For levels outside [0, 1), and as ``fit`` does.
        """
        levels = None
        if prune_fractions is not None:
            levels = tuple(level for level in check_levels(prune_fractions) if level)
        recorder = AlongPath(clone(self), levels)
        recorder.fit(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        assert recorder.path_ is not None  # dense training ended, or fit has raised
        return recorder.path_

    def _run(
        self,
        data: Data,
        data_val: Data | None,
        rng: np.random.RandomState,
        survivors: Sequence[int],
        tasks: FitTasks,
        prune_tol: float | None,
        is_asked: bool,
        train: bool = True,
        is_path: bool = False,
    ) -> Run:
        """Everything that drives the recipe, from validated data and parameters."""
        check_batch_size(self, data)
        start = self._begun(self._fitted)
        if survivors:
            is_of_sets = self.granularity != "weight"
            self._check_cost(data, start.n_left - survivors[0] if is_of_sets else 0)
        return Run(
            start=start,
            objective=self._objective(data),
            validate=self._validator(data_val),
            survivors=survivors,
            settings=self._solver_settings(),
            recipe=recipe_of(self, prune_tol, data.X.shape[0], start.group_of),
            rng=rng,
            tasks=tasks,
            train=train,
            verbose=int(self.verbose),
            is_asked=is_asked,
            is_path=is_path,
            keeps_optimizer=self.warm_start,
        )

    def _begun(self, fitted: Fitted) -> Fitted:
        """The network to begin with, read by the present parameters."""
        groups = groups_of_parameters(self)
        return replace(
            fitted,
            prune_intercepts=self.prune_intercepts,
            granularity=self.granularity,
            early_stopping=self._stops_early,
            group_of=None if groups is None else groups.group_of,
            group_names=None if groups is None else groups.names,
        )

    def _tasks(
        self, X: Any, y: Any, sample_weight: Any, n_rounds: int, train: bool = True
    ) -> FitTasks:
        """Begin the tasks that callbacks see, of at most ``n_rounds`` rounds."""
        again = self.max_iter if self.retrain_max_iter is None else self.retrain_max_iter
        n_epochs = (self.max_iter if train else 0, again)
        return FitTasks(self, X, y, sample_weight, n_rounds, n_epochs)

    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> "Self":
        """One epoch over the data with the present masks; see the subclasses."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        check_engine(self.engine)
        with quiet(), all_or_nothing(self), reproducible_threads():
            anew = not self.__sklearn_is_fitted__()
            data = validate(self, X, y, sample_weight, reset=anew, classes_known=True)
            rng = check_random_state(self.random_state)
            if anew:
                check_scale(self, data)
                self._initialise(data, rng)
            else:
                self._check_shapes(data)
            check_batch_size(self, data)
            # A schedule over max_iter epochs has no meaning for a single one.
            settings = replace(self._solver_settings(), max_iter=1)
            if self.learning_rate == "cosine":
                settings = replace(settings, learning_rate="constant")
            objective, fitted = self._objective(data), self._fitted
            pruned = fitted.pruned
            training = Training(settings, rng)
            result = solve(objective, pruned.theta, pruned.mask, fitted.state, training)
            check_finite(result, training, objective)
            self._fitted = fitted.trained(result)
        tell_of_numba()
        if result.status == "interrupted":
            tell(INTERRUPTED)
        return self

    def _has_epochs(self) -> bool:
        if self.solver not in UPDATES:
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers ({', '.join(UPDATES)}); "
                f"solver={self.solver!r} is not stochastic."
            )
        return True

    # ------------------------------------------------------------------ second derivatives

    def second_derivatives(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Diagonal second derivatives of the training objective at the fitted parameters.

        Computed by backward passes as ``curvature`` says (LeCun, Denker & Solla, 1989,
        equations 6 to 8), averaged over the samples, the penalty ``alpha`` included. As in
        scikit-learn ``alpha`` is shared by all samples with L-BFGS, and by those of a minibatch
        with the other solvers: second derivatives of the penalty are ``alpha / n_samples``, or
        ``alpha / batch_size``.

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
        with quiet(), reproducible_threads():
            problem = self._problem(X, y, sample_weight)
            curvature = diagonal_curvature(problem.objective, problem.theta, self.curvature)
            check_no_overflow(curvature, "Second derivatives")
            return self._unpack(curvature)

    def saliencies(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Predicted increase of the training objective if a parameter were deleted, for each.

        For ``criterion="obd"`` h_kk u_k^2 / 2 (LeCun, Denker & Solla, 1989, equation 5); for the
        other criteria as documented there. A deleted parameter has saliency 0. Those of
        ``"unit_obs"`` and ``"obs"`` include the damping of the Hessian by 1e-4 of its diagonal,
        which is felt where inputs are almost collinear; ``predicted_increase`` in
        ``pruning_history_`` does not.

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
        with quiet(), reproducible_threads():
            problem = self._problem(X, y, sample_weight)
            self._check_cost(problem.objective)
            return self._unpack(CRITERIA[self.criterion].saliencies(problem))

    def predicted_decreases(self, X: Any, y: Any, sample_weight: Any = None) -> Bunch:
        """Predicted decrease of the training objective if a deleted parameter came back.

        g_k^2 / (2 h_kk) with g the gradient and h the second derivatives of the objective, the
        minimum over parameter k of the quadratic model: the mirror image of `saliencies`. It is
        what regrowth goes by. A parameter that survives, and one that could not act because its
        unit has no inputs or no outputs, has 0.

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
        with quiet(), reproducible_threads():
            return self._unpack(predicted_decreases(self._problem(X, y, sample_weight)))

    def _problem(self, X: Any, y: Any, sample_weight: Any) -> Problem:
        check_is_fitted(self)
        self._validate_params()
        data = validate(self, X, y, sample_weight, reset=False)
        self._check_shapes(data)
        pruned, rng = self._fitted.pruned, check_random_state(self.random_state)
        settings = settings_of(DeletionSettings, self)
        return Problem(self._objective(data), pruned.theta, pruned.mask, settings, rng)

    def _check_cost(self, data: Data | Objective, n_sets: int = 0) -> None:
        """Refuse a criterion that cannot be computed, and announce one that takes long."""
        network, mask = self._fitted.pruned.network, self._fitted.pruned.mask
        check_block_size(self.criterion, network, mask)
        message = check_cost(self.criterion, network, mask, data.X.shape[0], n_sets)
        if message is not None:
            tell(message)

    def _unpack(self, vector: Array) -> Bunch:
        network = self._fitted.pruned.network
        return Bunch(coefs=network.coefs(vector), intercepts=network.intercepts(vector))

    # ------------------------------------------------------------------ prediction

    def _output(self, X: Any) -> Array:
        """Output (n_samples, n_outputs) after the inverse link, for unvalidated input."""
        if not self.__sklearn_is_fitted__():  # the full check takes as long as predicting a row
            check_is_fitted(self)
        fitted = self._fitted
        dtype, n_features = fitted.pruned.theta.dtype, fitted.pruned.network.layer_sizes[0]
        with quiet():
            if _is_ready(X, dtype, n_features) and not hasattr(self, "feature_names_in_"):
                assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
            else:
                X = validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False)
            output = fitted.pruned.predictor.output(X, fitted.loss_function.inverse_link)
            # A finite sum of finite numbers is the rule; only else is every one looked at.
            if not (np.isfinite(output.sum()) or np.isfinite(output).all()):
                raise ValueError(
                    "X has values too large for this network: its output overflows "
                    f"{output.dtype}. Scale X as the training data were scaled."
                )
        return output

    if TYPE_CHECKING:  # scikit-learn's mixins define it, untyped

        def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
            """As in scikit-learn."""

    # ------------------------------------------------------------------ what kinds differ in

    _is_classifier: bool
    _sklearn_class: type

    @property
    def _loss_name(self) -> str:
        """Row of `LOSSES` that parameters and targets ask for."""
        raise NotImplementedError

    def _encode(self, y: Any, dtype: np.dtype, reset: bool, name: str = "y") -> Array:
        """Targets as a matrix (n_samples, n_outputs)."""
        raise NotImplementedError

    def _score(self, p: Array, Y: Array, sample_weight: Array | None) -> float:
        """Score of predictions against encoded targets."""
        raise NotImplementedError

    def _check_same_classes(self, y: Any) -> None:
        """What ``warm_start`` asks of the targets."""

    def _class_weight_of(self, y: Any) -> Any:
        """What the sample weights are multiplied by."""
        return 1

    # ------------------------------------------------------------------ helpers

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, np.ndarray):
            sizes = sizes.tolist()  # a number, where there are no dimensions
        sizes = tuple(sizes) if hasattr(sizes, "__iter__") else (sizes,)
        if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be > 0 and integers, got {list(sizes)}; give one "
                "positive integer for each hidden layer."
            )
        return tuple(int(size) for size in sizes)

    def _solver_settings(self) -> SolverSettings:
        return settings_of(
            SolverSettings, self, early_stopping=self._stops_early, verbose=bool(self.verbose)
        )

    @property
    def _stops_early(self) -> bool:
        return self.early_stopping and self.solver in UPDATES

    def _objective(self, data: Data) -> Objective:
        fitted = self._fitted
        fraction = 1.0
        if self.solver in UPDATES:
            fraction = min(1.0, batch_size_of(self.batch_size) / data.X.shape[0])
        return Objective(
            fitted.pruned.network,
            fitted.loss_function,
            *data,
            alpha=self.alpha,
            penalised_fraction=fraction,
        )

    def _check_shapes(self, data: Data) -> None:
        """The data and ``hidden_layer_sizes`` must fit the network that is there."""
        network = self._fitted.pruned.network
        sizes = (data.X.shape[1], *self._hidden_sizes(), data.Y.shape[1])
        if sizes != network.layer_sizes:
            raise ValueError(
                f"The fitted network has layer sizes {network.layer_sizes}, but "
                f"hidden_layer_sizes and the data ask for {sizes}. Continue with the same "
                "sizes, or fit anew with warm_start=False."
            )
        for name, fitted, now in (
            ("activation", network.activation, self.activation),
            ("loss", self._fitted.loss_name, self._loss_name),
        ):
            if now != fitted:
                raise ValueError(
                    f"The network was fitted with {name}={fitted!r}, but {name} is now {now!r}. "
                    "Set it back, or fit anew with warm_start=False."
                )

    def _validator(self, data: Data | None) -> Callable[[Array], tuple[float, float]] | None:
        """``validate(theta)`` for `Monitor`: loss and score on validation data."""
        if data is None:
            return None
        network, loss = self._fitted.pruned.network, self._fitted.loss_function
        X, Y, weight = data
        total = X.shape[0] if weight is None else float(weight.sum())

        def validate(theta: Array) -> tuple[float, float]:
            p = network.raw_output(theta, X)
            value = loss.value(p, Y, weight) / total
            return value, self._score(p, Y, weight) if np.isfinite(p).all() else np.nan

        return validate

    def _initialise(self, data: Data, rng: np.random.RandomState) -> None:
        """A fresh network with nothing recorded."""
        sizes = (data.X.shape[1], *self._hidden_sizes(), data.Y.shape[1])
        network = Network(sizes, self.activation)
        theta = network.initialise(rng, data.X.dtype)
        untrained = Fitted.untrained(network, theta, self._loss_name, self.prune_intercepts)
        self._fitted = self._begun(untrained)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
