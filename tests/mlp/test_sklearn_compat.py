"""scikit-learn's own checks of estimators, under several settings, with no expected failures.

With ``SKOBD_FUZZ_CASES`` set, under all solvers, criteria and granularities; see
docs/development.md.
"""

import itertools
import os
import warnings

import pytest
from models import plain
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from skobd import OBDMLPClassifier, OBDMLPRegressor
from skobd._prune.criteria import CRITERIA
from skobd._prune.granularity import GRANULARITIES
from skobd._train.solvers import SOLVERS

pytestmark = pytest.mark.slow

PARAMS = {"hidden_layer_sizes": (5,), "random_state": 0, "learning_rate_init": 0.02, "alpha": 0.1}
SETTINGS = [
    {"max_iter": 60, "n_rounds": 1, "retrain_max_iter": 20, "tol": 0},
    {"solver": "sgd", "activation": "tanh", "max_iter": 80, "prune_fraction": 0},
    {"solver": "lbfgs", "max_iter": 15, "n_rounds": 2, "curvature": "hessian"},
    {
        "solver": "lbfgs",
        "max_iter": 15,
        "n_rounds": 1,
        "prune_fraction": "auto",
        "criterion": "magnitude",
        "prune_tol": 0.5,
    },
    {"solver": "lbfgs", "max_iter": 15, "criterion": "unit_obs", "retrain_max_iter": 2},
]
# The recipe of the paper, then the default one.
RECIPES = [plain(**PARAMS | settings) for settings in SETTINGS]
# Few iterations: rounding grows where L-BFGS goes on and on without converging.
SHORT = {"max_iter": 15, "n_rounds": 2, "retrain_max_iter": 4, "n_regrow": 2}
RECIPES += [PARAMS | SHORT | {"solver": "lbfgs", "prune_fraction": 0.5}]
RECIPES += [PARAMS | {"max_iter": 60, "prune_fraction": 0.5, "n_rounds": 2}]
KINDS = OBDMLPClassifier, OBDMLPRegressor
ESTIMATORS = [kind(**params) for kind in KINDS for params in RECIPES]


def every_combination():
    """Estimators of all solvers, criteria and granularities."""
    short = {"n_rounds": 2, "retrain_max_iter": 4, "n_regrow": 2, "hidden_layer_sizes": (10,)}
    of_solver = {
        "adam": {"max_iter": 100},
        "sgd": {"max_iter": 200, "activation": "tanh", "retrain_max_iter": 20},
        "lbfgs": {"max_iter": 15},
    }
    for kind, solver, criterion, granularity in itertools.product(
        KINDS, SOLVERS, CRITERIA, GRANULARITIES
    ):
        # Half of two inputs would be one: too few for what is checked.
        level = {"prune_fraction": 0.2 if granularity == "feature" else 0.5}
        names = {"solver": solver, "criterion": criterion, "granularity": granularity}
        yield kind(**PARAMS | short | level | of_solver[solver] | names)


ALL = list(every_combination())
# Every thirteenth: every criterion, granularity and solver.
ESTIMATORS += ALL if "SKOBD_FUZZ_CASES" in os.environ else ALL[::13]


# Older releases of scikit-learn hand over a generator, which pytest 9 warns of.
CHECKS = parametrize_with_checks(ESTIMATORS)


# Few iterations keep the checks fast; whether they converge is not what is checked.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# Checks of what is raised, and skipped checks, warn on their own account.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# Some checks train on normal numbers of mean 100.
@pytest.mark.filterwarnings("ignore:Inputs are far off scale:UserWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS[::3], ids=str)
def test_parameters_are_plain(estimator):
    parameters = estimator.get_params()
    assert clone(estimator).get_params() == parameters
    for name, value in parameters.items():
        assert estimator.set_params(**{name: value}) is estimator
    with pytest.raises(ValueError, match="Invalid parameter 'prune'"):
        estimator.set_params(prune=0.5)


def test_tags():
    classifier, regressor = OBDMLPClassifier(), OBDMLPRegressor(loss="poisson")
    assert classifier.__sklearn_tags__().classifier_tags.multi_label
    assert classifier.__sklearn_tags__().input_tags.sparse
    assert regressor.__sklearn_tags__().target_tags.multi_output
    assert regressor.__sklearn_tags__().target_tags.positive_only
    assert not OBDMLPRegressor().__sklearn_tags__().target_tags.positive_only


def test_only_stochastic_solvers_have_partial_fit():
    for estimator in (OBDMLPClassifier, OBDMLPRegressor):
        assert hasattr(estimator(), "partial_fit")
        assert not hasattr(estimator(solver="lbfgs"), "partial_fit")


def test_metadata_is_routed():
    """Validation data and weights reach fit through scikit-learn's routing."""
    from sklearn import config_context
    from sklearn.pipeline import make_pipeline

    X, y = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], [0, 1, 1, 0]
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = OBDMLPClassifier(max_iter=2).set_fit_request(
            sample_weight=True, X_val=True, y_val=True
        )
        pipe = make_pipeline(model).fit(X, y, sample_weight=[1, 1, 1, 1], X_val=X, y_val=y)
    assert len(pipe[-1].validation_scores_) == pipe[-1].n_iter_
