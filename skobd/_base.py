"""What the estimators share: they validate, call and store; the mathematics is elsewhere."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch, check_random_state, check_scalar
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    check_is_fitted,
)

from ._callbacks import CallbackSupportMixin, FitTasks, with_callbacks
from ._curvature import diagonal_curvature
from ._data import Data, DataMixin, all_or_nothing
from ._export import ExportMixin
from ._fitted import FittedMixin
from ._losses import LOSSES
from ._network import Array, Network
from ._objective import Objective
from ._parallel import reproducible_threads
from ._parameters import PARAMETER_CONSTRAINTS
from ._path import Route, check_levels, recording
from ._pruning import Recipe, Step, describe, history, join_histories, prune, survivor_schedule
from ._solvers import SOLVERS, Journal, Watch, check_finite
from ._surgeon import check_block_size
from ._surgery import CRITERIA, SurgerySettings, obd_saliencies
from ._updates import UPDATES, SolverSettings

_INTERRUPTED = "Training interrupted by user."


class BaseOBDMLP(DataMixin, FittedMixin, ExportMixin, CallbackSupportMixin, BaseEstimator):
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
        prune_intercepts,
        retrain_max_iter,
        prune_tol,
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
        self.prune_intercepts = prune_intercepts
        self.retrain_max_iter = retrain_max_iter
        self.prune_tol = prune_tol

    pruning_history_: dict[str, np.ndarray]
    _route: Route | None = None

    # ------------------------------------------------------------------ fitting

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
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
        tasks = self._tasks(X, y, sample_weight)
        with all_or_nothing(self), reproducible_threads():
            anew = not (self.warm_start and hasattr(self, "_theta"))
            data = self._validate(X, y, sample_weight, reset=anew, same_classes=not anew)
            held_out = self._validate_held_out(X_val, y_val, sample_weight_val, data)
            rng = check_random_state(self.random_state)
            if anew:
                self._initialise(data, rng)
            else:
                self._check_shapes(data)
            data, held_out = self._split(data, held_out, rng)
            survivors = self._survivors()
            self._drive(data, held_out, rng, survivors, tasks)
            # Made here, because predict must not change attributes.
            self._get_predictor()
        tasks.end()
        return self

    @with_callbacks
    def prune(self, X, y, prune_fraction=None, n_rounds=None, sample_weight=None):
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
            Fraction of all weights of the dense network gone at the end; None for the
            constructor's. Not below the present ``sparsity_``.
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
        fraction = self.prune_fraction if prune_fraction is None else prune_fraction
        rounds = self.n_rounds if n_rounds is None else n_rounds
        check_scalar(
            fraction, "prune_fraction", Real, min_val=0, max_val=1, include_boundaries="left"
        )
        if np.isnan(fraction):
            raise ValueError("prune_fraction is NaN; it must be in [0, 1).")
        check_scalar(rounds, "n_rounds", Integral, min_val=1)
        n_total = int(self._able.sum())
        if round((1 - fraction) * n_total) > self.n_weights_:
            raise ValueError(
                f"prune_fraction={fraction} is below the present level: sparsity_ is "
                f"{self.sparsity_:.6g}, and deleted weights do not come back. Give a fraction in "
                f"[{self.sparsity_:.6g}, 1), or fit again."
            )
        tasks = self._tasks(X, y, sample_weight, rounds, train=False)
        with all_or_nothing(self), reproducible_threads():
            data = self._validate(X, y, sample_weight, reset=False)
            self._check_shapes(data)
            rng = check_random_state(self.random_state)
            if self._stops_early:
                # As in fit, so that with the same seed and data the same rows are held out: the
                # others have been trained on.
                self._network.initialise(rng, data.X.dtype)
            data, held_out = self._split(data, None, rng)
            survivors = survivor_schedule(n_total, self.n_weights_, fraction, rounds)
            self._drive(data, held_out, rng, survivors, tasks, train=False)
        tasks.end()
        return self

    def pruning_path(self, X, y, prune_fractions=None, sample_weight=None, X_val=None, y_val=None):
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
            Fractions of weights deleted, in [0, 1); sorted, and each taken once. One round is
            made for each. The dense network always comes first, as level 0. None: the levels
            that ``prune_fraction`` and ``n_rounds`` make in ``fit``.
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
            levels = (0.0, *(level for level in check_levels(prune_fractions) if level))
        estimator, route = clone(self), Route(levels)
        with recording(estimator, route):
            estimator.fit(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        return route.path(estimator)

    def _survivors(self) -> list[int]:
        """Prunable parameters left after each round of ``fit``."""
        n_total = int(self._able.sum())
        if self._route is not None and self._route.levels is not None:
            return self._route.survivors(n_total)
        return survivor_schedule(n_total, self.n_weights_, self.prune_fraction, self.n_rounds)

    def _tasks(self, X, y, sample_weight, n_rounds=None, train=True) -> FitTasks:
        """Begin the tasks that callbacks see, of at most ``n_rounds`` rounds."""
        if n_rounds is None:
            n_rounds = self.n_rounds if self.prune_fraction > 0 else 0
            if self._route is not None and self._route.levels is not None:
                n_rounds = len(self._route.levels) - 1
        again = self.max_iter if self.retrain_max_iter is None else self.retrain_max_iter
        n_epochs = (self.max_iter if train else 0, again)
        return FitTasks(self, X, y, sample_weight, n_rounds, n_epochs)

    @available_if(lambda self: self._has_epochs())
    @_fit_context(prefer_skip_nested_validation=True)
    def _partial_fit(self, X, y, sample_weight):
        """One epoch over the data with the present masks; see the subclasses."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        with all_or_nothing(self), reproducible_threads():
            anew = not hasattr(self, "_theta")
            data = self._validate(X, y, sample_weight, reset=anew, classes_known=True)
            rng = check_random_state(self.random_state)
            if anew:
                self._initialise(data, rng)
            else:
                self._check_shapes(data)
            self._check_batch_size(data)
            settings = replace(self._solver_settings(), max_iter=1, verbose=bool(self.verbose))
            objective = self._objective(data)
            result = SOLVERS[self.solver](
                objective,
                self._survivors_only,
                self._mask,
                settings,
                self._journal,
                rng,
                state=self._optimizer_state,
            )
            check_finite(result, settings, objective)
            self._theta, self._journal = result.theta, result.journal
            self._optimizer_state = result.state
            if result.n_iter or anew:
                self._record_training(result.loss, result.n_iter)
        if result.status == "interrupted":
            warnings.warn(_INTERRUPTED, stacklevel=4)
        return self

    def _has_epochs(self) -> bool:
        if self.solver not in UPDATES:
            raise AttributeError(
                f"partial_fit is only available for stochastic solvers ({', '.join(UPDATES)}); "
                f"solver={self.solver!r} is not stochastic."
            )
        return True

    def _drive(
        self,
        data: Data,
        held_out: Data | None,
        rng: np.random.RandomState,
        survivors: Sequence[int],
        tasks: FitTasks,
        train: bool = True,
    ) -> None:
        """Drive the recipe to its end and store what comes out."""
        self._check_batch_size(data)
        if survivors:
            self._check_block_size()
        done: list[Step] = []
        importances: Array | None = None
        route, objective = self._route, self._objective(data)
        watch = Watch(self._validator(held_out), tasks.on_epoch, tasks.on_round)
        if route is not None:
            route.begin(self)
        try:
            for step in self._steps(objective, watch, rng, survivors, train):
                importances = None
                if self.verbose and survivors:
                    print(describe(step))
                if step.within_tol:
                    # Only the last network is needed; earlier ones are kept as numbers.
                    done = [*(earlier.without_network() for earlier in done), step]
                if route is not None:
                    importances = self._importances(objective, step)
                    route.record(step, importances)
                if tasks.end_round(partial(self._attributes_after, done, objective)):
                    break
        except KeyboardInterrupt:
            if not done:
                raise
            done[-1].result.status = "interrupted"
        try:
            if importances is None:
                importances = self._importances(objective, done[-1])
        except KeyboardInterrupt:
            # The network is there, and whoever interrupts wants no second pass.
            done[-1].result.status = "interrupted"
            importances = np.full(self._network.layer_sizes[0], np.nan)
        if route is not None:
            route.is_interrupted = done[-1].result.status == "interrupted"
        self._store(done, importances)
        self._warn(done)

    def _steps(
        self,
        objective: Objective,
        watch: Watch,
        rng: np.random.RandomState,
        survivors: Sequence[int],
        train: bool,
    ) -> Iterator[Step]:
        """The recipe's generator, from the present parameters."""
        recipe = Recipe(
            replace(self._solver_settings(), verbose=self.verbose > (1 if survivors else 0)),
            self._surgery_settings(),
            self.retrain_max_iter,
            self.prune_tol if self._route is None else None,
        )
        return prune(
            objective,
            self._survivors_only,
            self._mask,
            survivors,
            recipe,
            rng,
            journal=self._journal,
            watch=watch,
            train=train,
        )

    def _store(self, done: Sequence[Step], importances: Array) -> None:
        """Take over the network of the last step and the record of all of them."""
        last = done[-1]
        self._theta, self._mask = last.theta, last.mask
        # Elsewhere a call of partial_fit begins anew, in a copy or a pickle as in the original.
        self._optimizer_state = last.result.state if self.warm_start else None
        self._journal = last.result.journal
        self.pruning_history_ = join_histories(self.pruning_history_, history(done[1:]))
        n_iter = sum(step.n_iter for step in done)
        self._record_training(
            last.result.loss if last.n_iter else last.loss_after_retraining, n_iter
        )
        self.feature_importances_ = importances

    def _attributes_after(self, done: Sequence[Step], objective: Objective) -> dict[str, Any]:
        """Attributes of the estimator as if fit had ended after the last of these steps."""
        fitted = copy.copy(self)
        fitted._route = None
        fitted._store(done, self._importances(objective, done[-1]))
        return dict(vars(fitted))

    def _record_training(self, loss: float, n_iter: int) -> None:
        """Set scikit-learn's attributes of training from the journal."""
        journal = self._journal
        scores = journal.validation_scores
        self.loss_, self.n_iter_, self.t_ = float(loss), n_iter, journal.n_samples_seen
        self.loss_curve_ = journal.loss_curve
        self.best_loss_ = None if self._stops_early else min(journal.loss_curve, default=loss)
        self.validation_loss_curve_ = journal.validation_loss_curve or None
        self.validation_scores_ = scores or None
        self.best_validation_score_ = np.nanmax([-np.inf, *scores]) if scores else None

    def _warn(self, done: list[Step]) -> None:
        """Say what the user should know about how training ended."""
        if done[-1].result.status == "interrupted":
            warnings.warn(_INTERRUPTED, stacklevel=5)
        results = [step.result for step in done if step.n_iter]
        diverged = [result for result in results if result.status == "diverged"]
        if diverged:
            warnings.warn(
                f"Training diverged ({diverged[0].message}); the best network on the validation "
                "data is kept. To cure this, lower learning_rate_init "
                f"(now {self.learning_rate_init}) or standardise the input.",
                ConvergenceWarning,
                stacklevel=5,
            )
        short = [step for step in done if step.n_iter and step.result.status == "max_iter"]
        if self.retrain_max_iter is not None:
            # A small number of retraining iterations was asked for.
            short = [step for step in short if step.round == 0]
        if short:
            warnings.warn(self._shortfall(short), ConvergenceWarning, stacklevel=5)

    def _shortfall(self, short: list[Step]) -> str:
        rounds = [str(step.round) for step in short if step.round]
        where = f" In retraining after round {', '.join(rounds)}." if rounds else ""
        if self.solver in UPDATES:
            return (
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                f"optimization hasn't converged yet.{where}"
            )
        return (
            f"lbfgs failed to converge after {short[0].n_iter} iteration(s): "
            f"{short[0].result.message}.{where} Increase max_iter (now {self.max_iter}) or "
            f"max_fun (now {self.max_fun}), or scale the data."
        )

    # ------------------------------------------------------------------ second derivatives

    def second_derivatives(self, X, y, sample_weight=None):
        """Diagonal second derivatives of the training objective at the fitted parameters.

        Computed by backward passes as ``curvature`` says (LeCun, Denker & Solla, 1989,
        equations 6 to 8), averaged over the samples, the penalty ``alpha`` included.

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
        with reproducible_threads():
            objective = self._fitted_objective(X, y, sample_weight)
            theta = self._survivors_only
            return self._unpack(diagonal_curvature(objective, theta, self.curvature))

    def saliencies(self, X, y, sample_weight=None):
        """Predicted rise of the training objective if a parameter were deleted, for each.

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
        with reproducible_threads():
            objective = self._fitted_objective(X, y, sample_weight)
            self._check_block_size()
            rng = check_random_state(self.random_state)
            criterion = CRITERIA[self.criterion]
            settings = self._surgery_settings()
            return self._unpack(
                criterion.saliencies(objective, self._survivors_only, self._mask, settings, rng)
            )

    def _importances(self, objective: Objective, step: Step) -> Array:
        """Summed OBD saliency of the weights of each input."""
        settings = self._surgery_settings()
        saliencies = obd_saliencies(objective, step.theta, step.mask, settings)
        return self._network.coefs(saliencies)[0].sum(axis=1)

    def _check_block_size(self) -> None:
        check_block_size(self.criterion, self._network, self._mask)

    def _fitted_objective(self, X, y, sample_weight) -> Objective:
        check_is_fitted(self)
        self._validate_params()
        data = self._validate(X, y, sample_weight, reset=False)
        self._check_shapes(data)
        return self._objective(data)

    def _unpack(self, vector: Array) -> Bunch:
        return Bunch(coefs=self._network.coefs(vector), intercepts=self._network.intercepts(vector))

    # ------------------------------------------------------------------ helpers

    def _hidden_sizes(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        sizes = tuple(sizes) if hasattr(sizes, "__iter__") else (sizes,)
        if any(not isinstance(size, Integral) or size < 1 for size in sizes):
            raise ValueError(
                f"hidden_layer_sizes must be > 0 and integers, got {list(sizes)}; give one "
                "positive integer for each hidden layer."
            )
        return tuple(int(size) for size in sizes)

    def _solver_settings(self) -> SolverSettings:
        names = SolverSettings.__dataclass_fields__
        return SolverSettings(
            **{name: getattr(self, name) for name in names}
            | {
                "early_stopping": self._stops_early,
                "verbose": bool(self.verbose),
            }
        )

    def _surgery_settings(self) -> SurgerySettings:
        names = SurgerySettings.__dataclass_fields__
        return SurgerySettings(**{name: getattr(self, name) for name in names})

    @property
    def _stops_early(self) -> bool:
        return self.early_stopping and self.solver in UPDATES

    def _objective(self, data: Data) -> Objective:
        return Objective(self._network, LOSSES[self._loss_name], *data, alpha=self.alpha)

    def _check_shapes(self, data: Data) -> None:
        """The data and ``hidden_layer_sizes`` must fit the network that is there."""
        sizes = (data.X.shape[1], *self._hidden_sizes(), data.Y.shape[1])
        if sizes != self._network.layer_sizes:
            raise ValueError(
                f"The fitted network has layer sizes {self._network.layer_sizes}, but "
                f"hidden_layer_sizes and the data ask for {sizes}. Continue with the same "
                "sizes, or fit anew with warm_start=False."
            )
        for name, fitted, now in (
            ("activation", self._network.activation, self.activation),
            ("loss", self._fitted_loss, getattr(self, "loss", None)),
        ):
            if now != fitted:
                raise ValueError(
                    f"The network was fitted with {name}={fitted!r}, but {name} is now {now!r}. "
                    "Set it back, or fit anew with warm_start=False."
                )

    def _check_same_classes(self, y: Any) -> None:
        """What ``warm_start`` asks of the targets of a classifier."""

    def _validator(self, held_out: Data | None) -> Any:
        """``validate(theta)`` for `Watch`: loss and score on the held-out data."""
        if held_out is None:
            return None
        network, loss = self._network, LOSSES[self._loss_name]
        X, Y, weight = held_out
        total = X.shape[0] if weight is None else float(weight.sum())

        # Overflow is reported once, as divergence, not as a stream of warnings.
        @np.errstate(over="ignore", invalid="ignore")
        def validate(theta: Array) -> tuple[float, float]:
            p = network.raw_output(theta, X)
            value = loss.value(p, Y, weight) / total
            return value, self._score(p, Y, weight) if np.isfinite(p).all() else np.nan

        return validate

    def _initialise(self, data: Data, rng: np.random.RandomState) -> None:
        """A fresh network with nothing recorded."""
        sizes = (data.X.shape[1], *self._hidden_sizes(), data.Y.shape[1])
        network = Network(sizes, self.activation)
        self._begin(network, network.initialise(rng, data.X.dtype))

    def _begin(self, network: Network, theta: Array) -> None:
        """Take over a dense network; nothing is recorded of it yet."""
        self._network, self._theta = network, theta
        self._mask = np.ones(network.n_parameters, dtype=bool)
        self._journal, self._optimizer_state = Journal(), None
        self._fitted_loss = getattr(self, "loss", None)
        self.pruning_history_ = history([])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
