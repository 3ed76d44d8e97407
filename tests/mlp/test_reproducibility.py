"""The same seed gives the same bits, in any process and on any number of threads."""

import json
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, assert_deleted_are_zero, digest, make
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


WIDE_FIT = """
import hashlib, json, warnings
import numpy as np
from skobd import OBDMLPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.normal(size=(1400, 60)), rng.integers(3, size=1400)
digests = []
for solver in ("adam", "lbfgs"):
    model = OBDMLPClassifier((150,), solver=solver, max_iter=2, n_rounds=1, batch_size=700,
                             random_state=0).fit(X, y)
    arrays = model.coefs_ + model.intercepts_ + model.coef_masks_
    digests.append(hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest())
print(json.dumps(digests))
"""


class TestReproducibility:
    def test_processes_and_numbers_of_threads(self):
        """The network is wide enough for BLAS to use threads, and for more than one chunk."""
        outputs = []
        for n_threads in ("1", "3"):
            environment = {f"{name}_NUM_THREADS": n_threads for name in ("OPENBLAS", "OMP", "MKL")}
            process = subprocess.run(
                [sys.executable, "-c", WIDE_FIT],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **environment},
            )
            outputs.append(json.loads(process.stdout))
        assert outputs[0] == outputs[1]

    @pytest.mark.parametrize("criterion", ["obd", "random"])
    def test_fit_twice_and_clone(self, criterion, iris):
        model = make("classifier", criterion=criterion).fit(*iris)
        first = digest(model)
        assert digest(model.fit(*iris)) == first
        assert digest(clone(model).fit(*iris)) == first
        assert digest(clone(model).set_params(random_state=1).fit(*iris)) != first
        rng = np.random.RandomState(0)
        assert digest(clone(model).set_params(random_state=rng).fit(*iris)) == first

    def test_n_jobs_of_a_search(self, iris):
        grid = {"prune_fraction": [0, 0.5, 0.8]}
        searches = [
            GridSearchCV(make("classifier"), grid, cv=3, n_jobs=n_jobs).fit(*iris)
            for n_jobs in (1, 2)
        ]
        for name in ("mean_test_score", "split0_test_score"):
            assert_array_equal(*(search.cv_results_[name] for search in searches))
        assert digest(searches[0].best_estimator_) == digest(searches[1].best_estimator_)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    def test_pickle_and_joblib(self, kind, data, tmp_path):
        X, y = data[kind]
        model = make(kind).fit(X, y)
        joblib.dump(model, tmp_path / "model.joblib")
        for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
            assert_array_equal(copy.predict(X), model.predict(X))
            assert digest(copy) == digest(model)
            # Training goes on alike, too.
            again = pickle.loads(pickle.dumps(model))
            assert digest(copy.partial_fit(X, y)) == digest(again.partial_fit(X, y))
            again.prune(X, y, prune_fraction=0.9)
            assert_deleted_are_zero(again)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    def test_changes_neither_parameters_nor_arrays(self, kind, solver, data):
        X, y = data[kind]
        X, y, weight = X.copy(), y.copy(), np.linspace(0, 1, len(y))
        arrays = X, y, weight
        before = [array.copy() for array in arrays]
        model = make(kind, solver=solver, hidden_layer_sizes=[5, 3])
        parameters = dict(model.get_params())
        model.fit(X, y, sample_weight=weight, X_val=X, y_val=y, sample_weight_val=weight)
        model.predict(X)
        model.saliencies(X, y, sample_weight=weight)
        model.prune(X, y, prune_fraction=0.85, sample_weight=weight)
        for array, copy in zip(arrays, before, strict=True):
            assert_array_equal(array, copy)
        assert model.get_params() == parameters
        assert model.hidden_layer_sizes == [5, 3]

    def test_read_only_arrays(self, iris):
        X, y = (array.copy() for array in iris)
        X.flags.writeable = y.flags.writeable = False
        make("classifier", hidden_layer_sizes=()).fit(X, y).predict(X)


def test_random_deletion_does_not_depend_on_how_long_was_trained(iris):
    """Training takes random numbers for every row and epoch; deletion has its own."""
    X, y = iris
    params = {"criterion": "random", "n_rounds": 2, "retrain_max_iter": 1, "prune_fraction": 0.5}
    short, long = (make("classifier", max_iter=n, **params).fit(X, y) for n in (1, 4))
    fewer = make("classifier", max_iter=1, **params).fit(X[:100], y[:100])
    for masks in zip(short.coef_masks_, long.coef_masks_, strict=True):
        assert_array_equal(*masks)
    assert_array_equal(short.coef_masks_[0], fewer.coef_masks_[0])
