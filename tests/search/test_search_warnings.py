"""What the fits of a search warn of is told once, and no cause of a failure is hidden."""

import warnings

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from searches import make_classifier, make_search
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skobd._warnings import (
    PendingWarning,
    collected_warnings,
    give_warnings,
    warn_user,
    warnings_given_once,
)

pytestmark = pytest.mark.slow


def caught_of(search, *data, **params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*data, **params)
    return caught


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_warnings_of_all_fits_are_one(iris, backend, n_jobs):
    X, y = iris
    search = make_search(make_classifier(max_iter=3, retrain_max_iter=None), n_jobs=n_jobs)
    with parallel_config(backend=backend):
        caught = caught_of(search, 1e3 * X, y)
    assert {warning.filename for warning in caught} == {__file__}
    messages = {warning.category: str(warning.message) for warning in caught}
    assert len(caught) == len(messages) == 2
    # Three folds and the refit.
    for message in messages.values():
        assert message.endswith("(The first of 4 such warnings.)")
    assert "lbfgs failed to converge after 3 iteration(s)" in messages[ConvergenceWarning]
    assert "in retraining after round 1" in messages[ConvergenceWarning]
    assert messages[UserWarning].startswith("Inputs are far off scale: 'x")


def test_warnings_of_all_candidates_are_one(iris):
    grid = {"max_iter": [3, 4], "hidden_layer_sizes": [(4,), (5,)]}
    (warning,) = caught_of(
        make_search(make_classifier(retrain_max_iter=None), param_grid=grid, refit=False), *iris
    )
    assert str(warning.message).endswith("(The first of 12 such warnings.)")


def test_warnings_that_are_ignored_stay_so(iris):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        make_search(make_classifier(max_iter=3, retrain_max_iter=None)).fit(*iris)


def test_warnings_as_errors_end_the_search_in_the_end(iris):
    search = make_search(make_classifier(max_iter=3, retrain_max_iter=None), error_score=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match="The first of 4 such warnings"):
            search.fit(*iris)


def test_failing_scores_are_reported_once(iris):
    def scorer(estimator, X, y):
        raise RuntimeError("not today")

    search = make_search(scoring=scorer, error_score=-1.0)
    search.set_params(estimator__max_iter=500)
    (warning,) = caught_of(search, *iris)
    assert "Scoring failed" in str(warning.message)
    assert "not today" in str(warning.message)
    assert str(warning.message).endswith("(The first of 9 such warnings.)")


def test_what_was_collected_is_told_when_the_context_fails():

    def fail():
        with collected_warnings():
            for layer in (1, 27):
                warn_user(f"Layer {layer} is empty.")
            warn_user("Layer 3 is empty.", RuntimeWarning)
            raise KeyError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyError):
            fail()
    assert [str(warning.message) for warning in caught] == [
        "Layer 1 is empty. (The first of 2 such warnings.)",
        "Layer 3 is empty.",
    ]
    assert {warning.filename for warning in caught} == {__file__}


def test_warnings_within_warnings_are_collected_by_the_outer_one():
    with collected_warnings() as outer:
        with warnings_given_once(), collected_warnings() as inner:
            warn_user("one")
        assert outer == []
        with warnings_given_once():
            give_warnings(inner + inner)
    (given,) = outer
    assert (given.message, given.category) == ("one (The first of 2 such warnings.)", UserWarning)


def test_warnings_are_of_one_kind_if_one_line_gives_them():
    lines = [("a.py", 1), ("a.py", 1), ("a.py", 2), ("b.py", 1)]
    pending = [PendingWarning(f"{n} rows", UserWarning, line) for n, line in enumerate(lines)]
    pending.append(PendingWarning("5 rows", RuntimeWarning, lines[0]))
    with collected_warnings() as collected, warnings_given_once():
        give_warnings(pending)
    assert [(one.message, one.category) for one in collected] == [
        ("0 rows (The first of 2 such warnings.)", UserWarning),
        ("2 rows", UserWarning),
        ("3 rows", UserWarning),
        ("5 rows", RuntimeWarning),
    ]


def test_every_scorer_that_fails_is_reported(iris):
    def first(estimator, X, y):
        raise RuntimeError("first is out of order")

    def second(estimator, X, y):
        raise KeyError("second is out of order")

    scoring = {"accuracy": "accuracy", "first": first, "second": second}
    search = make_search(scoring=scoring, refit="accuracy", error_score=-1.0)
    search.set_params(estimator__max_iter=500)
    (warning,) = caught_of(search, *iris)
    for message in ("first is out", "second is out", "(The first of 9 such warnings.)"):
        assert message in str(warning.message)


# ---------------------------------------------------------------------- causes


def with_nan(X):
    X = X.copy()
    X[0, 0] = np.nan
    return X


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_missing_values_are_named(iris, n_jobs):
    X, y = iris
    search = make_search(error_score=np.nan, n_jobs=n_jobs)
    # Those that hold the row out fail to predict it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"No level can be chosen.* ValueError: Input X cont"):
            search.fit(with_nan(X), y)
    X = np.full_like(X, np.nan)
    with pytest.raises(ValueError, match=r"fits failed, .*: ValueError: Input X cont") as caught:
        search.fit(X, y)
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError)
    assert str(cause).startswith("Input X contains NaN")


@pytest.mark.parametrize("search_of", [make_search, GridSearchCV], ids=["ours", "grid"])
def test_sample_weights_that_a_step_does_not_take_are_named(iris, search_of):
    """As by `GridSearchCV`: a pipeline wants to know which step they are for."""
    estimator = make_pipeline(StandardScaler(), make_classifier())
    params = {"param_grid": {"standardscaler__with_mean": [True]}, "cv": 3}
    search = search_of(estimator, **params, error_score=np.nan)
    with pytest.raises(ValueError, match=r"(.|\n)*Pipeline.fit does not accept the sample_weight"):
        search.fit(*iris, sample_weight=np.ones(len(iris[1])))


def test_sample_weights_that_nobody_asked_for_are_named(iris):
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(Exception, match=r"sample_weight.* are passed but are not explicitly set"),
    ):
        make_search(error_score=np.nan).fit(*iris, sample_weight=np.ones(len(iris[1])))


class Unpicklable(Exception):
    """Cannot be made from its arguments alone."""

    def __init__(self, one, two):
        super().__init__(one)


def refuse(X):
    raise Unpicklable("of no use elsewhere", 2)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_that_cannot_be_sent_are_named(iris, n_jobs):
    estimator = make_pipeline(FunctionTransformer(refuse), make_classifier())
    with pytest.raises(ValueError, match="Unpicklable: of no use elsewhere"):
        make_search(estimator, error_score=np.nan, n_jobs=n_jobs).fit(*iris)


def test_cause_of_several_scores(iris):
    def failing(estimator, X, y):
        raise RuntimeError("not for me")

    search = make_search(scoring={"a": failing, "b": "accuracy"}, refit="a", error_score=np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"No level can be chosen.*RuntimeError: not for me"):
            search.fit(*iris)
