"""Parameters of the estimators: constraints declared as data, and documentation."""

from numbers import Integral, Real

import numpy as np

from .._net.activations import ACTIVATIONS
from .._prune.criteria import CRITERIA
from .._prune.curvature import CURVATURES
from .._prune.granularity import GRANULARITIES
from .._sklearn_compat import Interval, Options, StrOptions
from .._train.solvers import SOLVERS

PARAMETER_CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "solver": [StrOptions(set(SOLVERS))],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "cosine"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "prune_fraction": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
    "n_rounds": [Interval(Integral, 0, None, closed="left")],
    "criterion": [StrOptions(set(CRITERIA))],
    "curvature": [StrOptions(set(CURVATURES))],
    "granularity": [StrOptions(set(GRANULARITIES))],
    "feature_groups": ["array-like", dict, None],
    "retrain_max_iter": [Interval(Integral, 0, None, closed="left"), None],
    "retrain_alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    "n_regrow": [Interval(Integral, 0, None, closed="left")],
    "prune_tol": [Interval(Real, 0, None, closed="left")],
}
# Constraints on the arguments of `prune`.
PRUNE_CONSTRAINTS: dict = {
    "prune_fraction": PARAMETER_CONSTRAINTS["prune_fraction"],
    "n_rounds": [Interval(Integral, 1, None, closed="left")],
}
