"""The searches give the same results over a Dask cluster as in one process."""

import os

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skobd import OBDMLPClassifier, PruningSearchCV

pytestmark = pytest.mark.slow

distributed = pytest.importorskip("dask.distributed")


class Marker(TransformerMixin, BaseEstimator):
    """Lets the data pass, and tells in which process it was fitted."""

    def fit(self, X, y=None):
        self.pid_ = os.getpid()
        return self

    def transform(self, X):
        return X


def process_of(estimator, X, y):
    """A score: in which process was the estimator fitted?"""
    return float(estimator[0].pid_)


@pytest.fixture(scope="module")
def client():
    """Client of two worker processes of one thread each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        # Workers import this module to unpickle what is defined in it.
        client.upload_file(__file__)
        yield client


def make_estimator():
    mlp = OBDMLPClassifier((6,), solver="adam", max_iter=5, n_rounds=2, random_state=0)
    return make_pipeline(Marker(), mlp)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few epochs
@pytest.mark.parametrize(
    "make_search",
    [
        lambda **kwargs: PruningSearchCV(
            make_estimator(), prune_fractions=[0, 0.4, 0.8], cv=4, **kwargs
        ),
        lambda **kwargs: GridSearchCV(
            make_estimator(), {"obdmlpclassifier__prune_fraction": [0.4, 0.8]}, cv=4, **kwargs
        ),
    ],
    ids=["PruningSearchCV", "GridSearchCV"],
)
def test_same_results_on_a_cluster(client, iris, make_search):
    scoring = {"accuracy": "accuracy", "process": process_of}
    serial = make_search(scoring=scoring, refit="accuracy").fit(*iris)
    with parallel_config(backend="dask"):
        spread = make_search(scoring=scoring, refit="accuracy").fit(*iris)
    assert list(spread.cv_results_) == list(serial.cv_results_)
    for name, expected in serial.cv_results_.items():
        if not name.endswith(("_time", "_process")):
            np.testing.assert_array_equal(spread.cv_results_[name], expected, err_msg=name)
    np.testing.assert_array_equal(spread.predict_proba(iris[0]), serial.predict_proba(iris[0]))
    workers = set(client.run(os.getpid).values())
    used = {pid for fold in range(4) for pid in spread.cv_results_[f"split{fold}_test_process"]}
    assert used <= workers
    assert serial.cv_results_["split0_test_process"][0] == os.getpid()
