"""The beginning of a fit: from parameters and data to everything that the recipe needs.

``fit``, ``prune``, ``pruning_path`` and ``partial_fit`` are the same loop with different
beginnings. This module reads only parameters of the estimator and stores nothing on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._net.network import Array, Network
from .._prune.criteria import check_block_size
from .._prune.deletion_problem import DeletionProblem, DeletionSettings
from .._prune.granularity import GRANULARITIES
from .._prune.recipe import Recipe
from .._prune.schedule import Levels, NoSuchSizeError, survivor_schedule, survivors_at
from .._sklearn_compat import validate_parameter_constraints
from .._train.compiled import check_engine
from .._train.objective import Objective
from .._train.settings import Monitor, SolverSettings, Training, batch_size_of
from .._train.solvers import SOLVERS, check_finite
from .._train.state import Status
from .._train.updates import UPDATES
from .._warnings import LeftOutWarning, warn_user
from .callbacks import FitTasks
from .data import (
    FLOATS,
    Data,
    Given,
    column_off_scale,
    split_validation,
    validate,
    validate_held_out,
)
from .feature_groups import groups_of_parameters
from .fitted import Fitted
from .messages import tell
from .names import feature_names
from .parameters import PRUNE_CONSTRAINTS
from .run import INTERRUPTED, Run
from .targets import Targets

# Largest fraction that "auto" deletes; see benchmarks/default.py.
_AUTO_FRACTION = 0.875
# Penalty that "auto" means for data that are not small; see benchmarks/default.py.
_RETRAIN_ALPHA_OF_CLASSES, _RETRAIN_ALPHA_OF_NUMBERS = 3.0, 1.0


def begin(
    mlp: Any,
    known: Fitted | None,
    given: Given,
    held_out: Given,
    levels: Levels | None = None,
) -> Run:
    """Begin a fit.

    Parameters
    ----------
    mlp : OBDMLPClassifier or OBDMLPRegressor
        Estimator with the parameters; callbacks receive it.
    known : Fitted or None
        Network of a warm start; None for a fresh network.
    given, held_out : Given
        Training data, and validation data or nothing.
    levels : Levels, default=None
        Levels of a path, which divide the cycles of regrowth among them; the default levels of a
        path regrow only at the last, as a fit does. None for the single network of a fit.
    """
    check_engine()
    fraction, tol = level_asked_for(mlp)
    n_rounds = mlp.n_rounds if fraction > 0 else 0
    # The regrowth of the round that "auto" returns to counts as one more.
    n_most = n_rounds + (tol is not None) if levels is None else sum(map(bool, levels.values))
    tasks = _begin_tasks(mlp, given, n_most)
    data, targets = _validated(mlp, known, given, same_classes=known is not None)
    data_val = validate_held_out(mlp, held_out, data, targets)
    rng = check_random_state(mlp.random_state)
    start = _started(mlp, known, data, targets, rng)
    if data_val is None and stops_early(mlp):
        data, data_val = split_validation(data, targets, mlp.validation_fraction, rng)
    start = _read_by_parameters(mlp, start)
    if levels is None:
        survivors = survivor_schedule(start.n_total, start.n_left, fraction, mlp.n_rounds)
    else:
        fractions = _fractions(levels, start)
        survivors = survivors_at(fractions, start.n_total)
    run = _make_run(mlp, start, data, data_val, survivors, Training(_settings(mlp), rng), tasks)
    run.recipe, run.wants_pruning = replace(run.recipe, prune_tol=tol), n_rounds > 0
    if levels is not None:
        run.recipe = replace(run.recipe, prune_tol=None, divides_cycles=not levels.are_own)
        run.is_path, run.levels, run.wants_pruning = True, fractions, bool(fractions)
    return run


def _fractions(levels: Levels, start: Fitted) -> list[float]:
    """Return the fractions deleted after each round of a path, without impossible sizes.

    Raises
    ------
    NoSuchSizeError
        If no size is possible.
    """
    possible = levels.within(start.n_least, start.n_total)
    left_out = [size for size in levels.values if size not in possible.values]
    if left_out and not possible.values:
        raise NoSuchSizeError(left_out, start.possible_sizes)
    if left_out:
        warn_user(f"sizes={left_out} are left out: {start.possible_sizes}.", LeftOutWarning)
    return [fraction for fraction in possible.fractions(start.n_total) if fraction]


def begin_pruning(
    mlp: Any,
    known: Fitted,
    given: Given,
    prune_fraction: float | str | None,
    n_rounds: int | None,
) -> Run:
    """Begin to prune a fitted network further; None stands for the estimator's parameter."""
    check_engine()
    asked = mlp.prune_fraction if prune_fraction is None else prune_fraction
    rounds = mlp.n_rounds if n_rounds is None else n_rounds
    validate_parameter_constraints(
        PRUNE_CONSTRAINTS,
        {"prune_fraction": asked, "n_rounds": rounds},
        f"{type(mlp).__name__}.prune",
    )
    fraction, tol = level_asked_for(mlp, asked)
    start = _read_by_parameters(mlp, known)
    if tol is None and survivors_at([fraction], start.n_total)[0] > start.n_left:
        gone = 1 - start.n_left / start.n_total
        unit = GRANULARITIES[mlp.granularity].unit
        raise ValueError(
            f"prune_fraction={fraction} is below the present level: of {start.n_total} "
            f"{unit} {start.n_left} are left, and levels never bring any back. Give a "
            f"fraction in [{gone:.6g}, 1), or fit again."
        )
    tasks = _begin_tasks(mlp, given, rounds + (tol is not None), trains_first=False)
    data, targets = _validated(mlp, known, given)
    check_shapes(mlp, known, data, targets)
    data_val, rng = None, check_random_state(mlp.random_state)
    if stops_early(mlp):
        # As in fit, so that the same seed and data hold out the same rows: the network was
        # trained on all others.
        start.pruned.network.initialise(rng, data.X.dtype)
        data, data_val = split_validation(data, targets, mlp.validation_fraction, rng)
    survivors = survivor_schedule(start.n_total, start.n_left, fraction, rounds)
    run = _make_run(mlp, start, data, data_val, survivors, Training(_settings(mlp), rng), tasks)
    run.recipe = replace(run.recipe, trains_first=False, prune_tol=tol)
    run.wants_pruning = fraction > 0
    return run


def train_epoch(mlp: Any, known: Fitted | None, given: Given, targets: Targets) -> Fitted:
    """Train for one epoch over the given data, with the present masks."""
    if mlp.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True")
    check_engine()
    dtype = FLOATS if known is None else known.pruned.theta.dtype
    data, targets = validate(mlp, given, targets, dtype, reset=known is None)
    rng = check_random_state(mlp.random_state)
    fitted = _started(mlp, known, data, targets, rng)
    fitted = _read_by_parameters(mlp, fitted) if known is None else known.recent()
    _warn_of_batch_size(mlp, data)
    # A schedule over max_iter epochs has no meaning for a single one.
    settings = replace(_settings(mlp), max_iter=1)
    if mlp.learning_rate == "cosine":
        settings = replace(settings, learning_rate="constant")
    objective, pruned = _objective(mlp, fitted, data), fitted.pruned
    training = Training(settings, rng)
    solve = SOLVERS[settings.solver]
    result = solve(objective, pruned.theta, pruned.mask, fitted.state, training)
    check_finite(result, training, objective)
    if result.status is Status.INTERRUPTED:
        warn_user(INTERRUPTED)
    return fitted.trained(result)


def deletion_problem(mlp: Any, known: Fitted, given: Given) -> DeletionProblem:
    """Pose the deletion from a fitted network on the given data."""
    data, targets = _validated(mlp, known, given)
    check_shapes(mlp, known, data, targets)
    rng, pruned = check_random_state(mlp.random_state), known.pruned
    settings = _record(DeletionSettings, mlp, group_of=known.group_of)
    return DeletionProblem(_objective(mlp, known, data), pruned.theta, pruned.mask, settings, rng)


def level_asked_for(mlp: Any, asked: Any = None) -> tuple[float, float | None]:
    """Return the largest fraction to delete, and the tolerance, which only "auto" has.

    ``asked`` takes the place of the parameter ``prune_fraction``.
    """
    asked = mlp.prune_fraction if asked is None else asked
    if isinstance(asked, bool):
        raise ValueError(
            f"prune_fraction must be 'auto' or a float in [0, 1), got {asked}; 0 deletes nothing."
        )
    return (_AUTO_FRACTION, mlp.prune_tol) if isinstance(asked, str) else (asked, None)


def stops_early(mlp: Any) -> bool:
    """Return whether the score on validation data ends training."""
    return mlp.early_stopping and mlp.solver in UPDATES


def hidden_sizes(mlp: Any) -> tuple[int, ...]:
    """Return the parameter ``hidden_layer_sizes``, checked, as a tuple."""
    given = sizes = mlp.hidden_layer_sizes
    if isinstance(sizes, np.ndarray):
        sizes = sizes.tolist()  # a number, if there are no dimensions
    # The layers have an order, which sets and dicts lack.
    in_order = isinstance(sizes, Sequence) and not isinstance(sizes, bytes | bytearray)
    if not (in_order or isinstance(sizes, Integral) or hasattr(sizes, "__array__")):
        raise ValueError(
            "hidden_layer_sizes must be a sequence of integers, one for each hidden layer from "
            f"the first to the last, or a single integer; got {given!r}."
        )
    sizes = (sizes,) if isinstance(sizes, Integral) else tuple(sizes)
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be > 0 and integers, got {list(sizes)}; give one "
            "positive integer for each hidden layer."
        )
    return tuple(int(size) for size in sizes)


def check_shapes(mlp: Any, known: Fitted, data: Data, targets: Targets) -> None:
    """Refuse data, or ``hidden_layer_sizes``, that do not fit the fitted network."""
    network = known.pruned.network
    sizes = (data.X.shape[1], *hidden_sizes(mlp), data.Y.shape[1])
    if sizes != network.layer_sizes:
        raise ValueError(
            f"The fitted network has layer sizes {network.layer_sizes}, but "
            f"hidden_layer_sizes and the data ask for {sizes}. Continue with the same "
            "sizes, or fit anew with warm_start=False."
        )
    for name, fitted, now in (
        ("activation", network.activation, mlp.activation),
        ("loss", known.targets.loss_name, targets.loss_name),
    ):
        if now != fitted:
            raise ValueError(
                f"The network was fitted with {name}={fitted!r}, but {name} is now {now!r}. "
                "Set it back, or fit anew with warm_start=False."
            )


def _validated(
    mlp: Any, known: Fitted | None, given: Given, same_classes: bool = False
) -> tuple[Data, Targets]:
    """Return training data for the known network, or for a fresh one."""
    targets = mlp._targets(None if known is None else known.targets)
    dtype = FLOATS if known is None else known.pruned.theta.dtype
    return validate(mlp, given, targets, dtype, reset=known is None, same_classes=same_classes)


def _started(
    mlp: Any, known: Fitted | None, data: Data, targets: Targets, rng: np.random.RandomState
) -> Fitted:
    """Return the known network, if it fits the data, or a fresh one."""
    if known is not None:
        check_shapes(mlp, known, data, targets)
        return known
    off_scale = column_off_scale(data.X)
    if off_scale is not None:
        column, size = off_scale
        warn_user(
            f"Inputs are far off scale: {feature_names(mlp)[column]!r} has a root mean square "
            f"of {size:.3g}, and training expects about 1. Standardise them, for example "
            "by make_pipeline(StandardScaler(), ...); a network may learn little otherwise.",
        )
    sizes = (data.X.shape[1], *hidden_sizes(mlp), data.Y.shape[1])
    return Fitted.untrained(*_initialised(mlp, sizes, data.X.dtype, rng), targets)


def _initialised(
    mlp: Any, sizes: tuple[int, ...], dtype: np.dtype, rng: np.random.RandomState
) -> tuple[Network, Array]:
    """Return a network of these layers, and its parameters before training."""
    network = Network(sizes, mlp.activation)
    n_parameters = sum(rows * columns for rows, columns in network.shapes)
    if n_parameters > np.iinfo(np.intp).max // dtype.itemsize:
        raise ValueError(
            f"hidden_layer_sizes={mlp.hidden_layer_sizes!r} makes a network of "
            f"{n_parameters} parameters, more than an array can hold."
        )
    try:
        return network, network.initialise(rng, dtype)
    except MemoryError as error:
        raise MemoryError(f"hidden_layer_sizes={mlp.hidden_layer_sizes!r}: {error}") from error


def _read_by_parameters(mlp: Any, fitted: Fitted) -> Fitted:
    """Return the fitted network with the granularity and groups of the present parameters."""
    groups = groups_of_parameters(mlp)
    return replace(
        fitted.recent(),
        granularity=mlp.granularity,
        early_stopping=stops_early(mlp),
        group_of=None if groups is None else groups.group_of,
        group_names=None if groups is None else groups.names,
    )


def _make_run(
    mlp: Any,
    start: Fitted,
    data: Data,
    data_val: Data | None,
    survivors: Sequence[int],
    training: Training,
    tasks: FitTasks,
) -> Run:
    """Make the run from validated data and parameters."""
    _warn_of_batch_size(mlp, data)
    n_samples = data.X.shape[0]
    if survivors:
        check_block_size(mlp.criterion, start.pruned.network, start.pruned.mask)
    monitor = Monitor(
        _validator(start, data_val),
        tasks.on_epoch,
        tasks.on_round,
        tasks.on_cycle,
        tell if mlp.verbose else None,
    )
    # When pruning, a line for each round is enough.
    is_verbose = mlp.verbose > (1 if survivors else 0)
    settings = replace(training.settings, verbose=bool(is_verbose))
    return Run(
        start=start,
        objective=_objective(mlp, start, data),
        survivors=survivors,
        recipe=_recipe(mlp, start, n_samples),
        training=replace(training, settings=settings, monitor=monitor),
        tasks=tasks,
        is_verbose=bool(mlp.verbose),
        keeps_optimizer=mlp.warm_start,
    )


def _begin_tasks(mlp: Any, given: Given, n_rounds: int, trains_first: bool = True) -> FitTasks:
    """Begin the tasks that callbacks see, of at most ``n_rounds`` rounds."""
    again = mlp.max_iter if mlp.retrain_max_iter is None else mlp.retrain_max_iter
    return FitTasks(mlp, given, n_rounds, (mlp.max_iter if trains_first else 0, again))


def _objective(mlp: Any, fitted: Fitted, data: Data) -> Objective:
    fraction = _penalised_fraction(mlp, data.X.shape[0])
    network, loss = fitted.pruned.network, fitted.targets.loss
    return Objective(network, loss, *data, alpha=mlp.alpha, penalised_fraction=fraction)


def _penalised_fraction(mlp: Any, n_samples: int) -> float:
    """Return the fraction of the rows that share one penalty: 1, or that of a minibatch."""
    if mlp.solver not in UPDATES:
        return 1.0
    return min(1.0, batch_size_of(mlp.batch_size) / n_samples)


def _validator(fitted: Fitted, data: Data | None) -> Callable[[Array], tuple[float, float]] | None:
    """Return ``validate(theta)`` for `Monitor`, which gives loss and score on validation data."""
    if data is None:
        return None
    network, targets = fitted.pruned.network, fitted.targets
    X, Y, weight = data
    total = X.shape[0] if weight is None else float(weight.sum())

    def validate(theta: Array) -> tuple[float, float]:
        p = network.raw_output(theta, X)
        value = targets.loss.value(p, Y, weight) / total
        return value, targets.score(p, Y, weight) if np.isfinite(p).all() else np.nan

    return validate


def _settings(mlp: Any) -> SolverSettings:
    return _record(
        SolverSettings,
        mlp,
        early_stopping=stops_early(mlp),
        verbose=bool(mlp.verbose),
        steps_per_epoch=None,
    )


def _recipe(mlp: Any, start: Fitted, n_samples: int) -> Recipe:
    """Return the recipe that the parameters describe."""
    alpha = mlp.retrain_alpha
    if alpha == "auto":
        is_numeric = start.targets.is_numeric
        auto = _RETRAIN_ALPHA_OF_NUMBERS if is_numeric else _RETRAIN_ALPHA_OF_CLASSES
        alpha = max(mlp.alpha, auto * _penalised_fraction(mlp, n_samples))
    return Recipe(
        deletion=_record(DeletionSettings, mlp, group_of=start.group_of),
        retrain_max_iter=mlp.retrain_max_iter,
        retrain_alpha=alpha,
        chooses_alpha=mlp.retrain_alpha == "auto",
        n_regrow=mlp.n_regrow,
    )


def _record(kind: Any, mlp: Any, **others: Any) -> Any:
    """Fill a record of settings with parameters of the estimator, and with the ``others``."""
    names = kind.__dataclass_fields__.keys() - others
    return kind(**{name: getattr(mlp, name) for name in names}, **others)


def _warn_of_batch_size(mlp: Any, data: Data) -> None:
    n_samples = data.X.shape[0]
    if mlp.solver in UPDATES and mlp.batch_size != "auto" and mlp.batch_size > n_samples:
        warn_user(
            f"batch_size={mlp.batch_size} is larger than the number of training samples and "
            f"is going to be clipped to {n_samples}.",
        )
