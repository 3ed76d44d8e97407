"""Warnings: when, and pointing at the user's line."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from models import ESTIMATORS, make
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skobd import OBDMLPClassifier, PruningSearchCV

pytestmark = pytest.mark.slow


def here():
    """The line that calls this."""
    return inspect.currentframe().f_back.f_lineno


CALLS = {
    "fit": lambda model, X, y: (model.fit(X, y), here()),
    "fit in a pipeline": lambda model, X, y: (
        make_pipeline(make_pipeline(StandardScaler(), model)).fit(X, y),
        here(),
    ),
    "fit in a search": lambda model, X, y: (GridSearchCV(model, {}, cv=2).fit(X, y), here()),
    "prune": lambda model, X, y: (model.prune(X, y, prune_fraction=0.9), here()),
    "partial_fit": lambda model, X, y: (model.partial_fit(X, y), here()),
    "pruning_path": lambda model, X, y: (model.pruning_path(X, y), here()),
}


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("category", [ConvergenceWarning, UserWarning])
def test_point_at_the_users_line(kind, name, category, data):
    """Training that is too short, and minibatches larger than the data."""
    X, y = data[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make(kind, tol=0, prune_fraction=0.2).fit(X, y)
    if category is UserWarning:
        model.set_params(batch_size=len(y) + 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, line = CALLS[name](model, X, y)
    caught = [warning for warning in caught if warning.category is category]
    assert bool(caught) == (name != "partial_fit" or category is UserWarning)
    first = line - 1 if name == "fit in a pipeline" else line
    for warning in caught:
        assert warning.filename == __file__
        assert first <= warning.lineno <= line


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_interrupts_point_at_the_users_line(kind, data, monkeypatch):
    X, y = data[kind]
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")
    model = make(kind, tol=1, n_iter_no_change=1, prune_fraction=0).fit(X, y)

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    # After an epoch, because before that the interrupt itself is raised.
    monkeypatch.setattr("skobd._train.solvers._Recorder.judge", interrupt)
    for name in ("fit", "partial_fit"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _, line = CALLS[name](model, X, y)
        assert [(warning.filename, warning.lineno) for warning in caught] == [(__file__, line)]


def test_short_training(iris):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(10\) reached"):
        make("classifier", prune_fraction=0, tol=0).fit(*iris)
    with pytest.warns(ConvergenceWarning, match="retraining after round 1, 2, 3"):
        make("classifier", tol=0).fit(*iris)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_few_evaluations(kind, data):
    model = make(kind, solver="lbfgs", max_fun=10, max_iter=150, tol=0, prune_fraction=0)
    with pytest.warns(ConvergenceWarning, match=r"max_fun \(now 10\)"):
        model.fit(*data[kind])
    assert model.n_iter_ <= 10


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"prune_fraction": 0}, None),
        ({"retrain_max_iter": None}, "in retraining after round 1, 2"),
    ],
    ids=str,
)
def test_where_training_fell_short(iris, solver, params, where):
    model = make("classifier", solver=solver, max_iter=2, n_rounds=2, tol=0)
    with pytest.warns(ConvergenceWarning) as caught:
        model.set_params(**params).fit(*iris)
    (message,) = (str(warning.message) for warning in caught)
    assert ("retraining" in message) == (where is not None)
    assert where is None or where in message


@pytest.mark.filterwarnings("ignore:Pruning has left")
def test_retraining_alone_fell_short(iris):
    model = OBDMLPClassifier((5,), solver="lbfgs", max_iter=500, alpha=1, random_state=0)
    model.set_params(n_rounds=1, n_regrow=0).fit(*iris)
    with pytest.warns(ConvergenceWarning, match="in retraining after round 1"):
        model.set_params(retrain_max_iter=None, max_iter=1).prune(*iris, prune_fraction=0.95)


def test_none_where_few_iterations_were_asked_for(iris):
    model = make("classifier", tol=0.5, max_iter=200, retrain_max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*iris)
    np.testing.assert_array_equal(model.pruning_history_["n_iter"], 1)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_none_where_training_converges(kind, data):
    X, y = data[kind]
    params = {"solver": "lbfgs", "alpha": 10.0, "max_iter": 1000, "tol": 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make(kind, **params).fit(X, y)
        model.prune(X, y, prune_fraction=0.9).pruning_path(X, y)
        model.predict(X)


def test_column_of_targets(iris):
    """As in scikit-learn."""
    model = OBDMLPClassifier((3,), solver="lbfgs", alpha=10, max_iter=500)
    with pytest.warns(UserWarning, match="A column-vector y was passed"):
        model.fit(iris[0], iris[1][:, np.newaxis])


class TestInputsOffScale:
    @staticmethod
    def scales(X, y, method="fit", **params):
        """The warnings of a fit that are about the scale of the inputs."""
        model = OBDMLPClassifier((3,), max_iter=2, prune_fraction=0, random_state=0, **params)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            extra = {"classes": np.unique(y)} if method == "partial_fit" else {}
            line = (getattr(model, method)(X, y, **extra), here())[1]
        caught = [w for w in caught if "off scale" in str(w.message)]
        for warning in caught:
            assert warning.category is UserWarning
            assert (warning.filename, warning.lineno) == (__file__, line)
        return [str(warning.message) for warning in caught]

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("container", [np.asarray, sp.csr_array, lambda X: X.astype("f4")])
    def test_named(self, method, container):
        """Pixels, raw measurements, and a single column among standardised ones."""
        pixels, y = load_digits(return_X_y=True)
        raw, of_raw = load_breast_cancer(return_X_y=True)
        one = scale(raw)
        one[:, 7] *= 100
        for X, labels, column in (
            (pixels * 16, y, "x59"),
            (raw, of_raw, "x23"),
            (one, of_raw, "x7"),
        ):
            (message,) = self.scales(container(X), labels, method)
            assert message.startswith(f"Inputs are far off scale: '{column}'")
            assert "StandardScaler" in message

    def test_the_name_of_the_column(self):
        X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        assert "'worst area' has a root mean square of" in self.scales(X, y)[0]

    @pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
    def test_not_for_what_is_on_scale(self, container):
        pixels, y = load_digits(return_X_y=True)
        one_hot = np.eye(64)[pixels.argmax(axis=1)]
        heavy = np.random.default_rng(0).standard_cauchy(size=pixels.shape)
        tiny = pixels * 1e-9
        for X in (pixels, pixels / 16, scale(pixels), one_hot, scale(heavy), tiny):
            assert not self.scales(container(X), y)

    def test_rows_are_sampled(self):
        """Of many rows some suffice; neither does a large value in one of them matter."""
        X = np.ones((100_000, 2), dtype=np.float32)
        X[1] = 1e6
        y = np.arange(len(X)) % 2
        assert not self.scales(X, y, batch_size=50_000)
        assert self.scales(X * 40, y, batch_size=50_000)


class TestNothingLeft:
    """A network that predicts the same for every row, because it was asked to be so small."""

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("call", ["fit", "prune", "pruning_path"])
    def test_is_told(self, kind, call, data):
        X, y = data[kind]
        model = make(kind, solver="lbfgs", max_iter=1000, tol=1e-2, prune_fraction=0.5).fit(X, y)
        if call == "fit":
            model.set_params(prune_fraction=0.9999)
        arguments = {
            "prune": {"prune_fraction": 0.9999},
            "pruning_path": {"prune_fractions": [0.9999]},
        }
        n_total = model.n_weights_total_
        message = f"Pruning has left 0 of {n_total} weights, and no way.*the same for every row"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            with pytest.warns(UserWarning, match=message) as caught:
                result = getattr(model, call)(X, y, **arguments.get(call, {}))
        assert [warning.filename for warning in caught] == [__file__]
        last = result.estimator_at(-1) if call == "pruning_path" else model
        assert np.ptp(last.predict(X)) == 0

    def test_also_where_a_weight_is_left_that_leads_nowhere(self):
        X = np.random.default_rng(0).normal(size=(40, 4))
        model = make("regressor", hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000)
        model.set_params(prune_fraction=0.96, n_rounds=1)
        with pytest.warns(UserWarning, match="Pruning has left 1 of 25 weights, and no way"):
            model.fit(X, X[:, 0])

    def test_not_of_the_levels_that_a_search_compares(self, iris):
        X, y = iris
        model = make("classifier", hidden_layer_sizes=(3,), solver="lbfgs", alpha=1, max_iter=1000)
        levels = [0, 0.5, 0.999]
        search = PruningSearchCV(model, cv=3, prune_fractions=levels, selection="best").fit(X, y)
        assert search.best_index_ < 2
        search.set_params(selection=lambda results: 2)
        with pytest.warns(UserWarning, match="Pruning has left 0 of 21 weights") as caught:
            search.fit(X, y)
        assert len(caught) == 1


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_dense_training_that_pruning_follows_may_end_anywhere(iris, solver):
    """Retraining goes on from there; without pruning its end is that of the fit."""
    model = make("classifier", solver=solver, max_iter=2, retrain_max_iter=2, n_rounds=2, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(*iris)
        model.pruning_path(*iris, prune_fractions=[0.5])
    with pytest.warns(ConvergenceWarning):
        model.pruning_path(*iris, prune_fractions=[0])
