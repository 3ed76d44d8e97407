"""Which step is taken, with numba and without, whatever is installed here."""

import importlib
import types

import pytest
import scipy.sparse as sp
from models import digest, make
from problems import make_problem

from skobd._train import engine
from skobd._train.engine import check_engine, is_compiled, load_compiled
from skobd._train.minibatch import BlockEpochs, make_epochs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def absent(name):
    raise ModuleNotFoundError("No module named 'numba'")


def too_old(name):
    return types.SimpleNamespace(__version__="0.59.1")


def broken(name):
    raise OSError("libLLVM is of another machine")


@pytest.fixture(params=[absent, too_old, broken], ids=lambda function: function.__name__)
def without_numba(request, monkeypatch):
    """A numba that cannot be used, and what is said of it."""
    importing = importlib.import_module

    def import_module(name, package=None):
        return request.param(name) if name == "numba" else importing(name, package)

    monkeypatch.setattr(engine.importlib, "import_module", import_module)
    load_compiled.cache_clear()
    yield {absent: "No module named", too_old: "is older than 0.61", broken: "another machine"}[
        request.param
    ]
    load_compiled.cache_clear()


def test_by_name_it_is_missed_before_any_work(without_numba, iris):
    fitted = make("classifier", engine="numpy").fit(*iris)
    before = digest(fitted)
    fitted.engine = "numba"
    calls = [fitted.fit, fitted.prune, fitted.partial_fit, make("classifier", engine="numba").fit]
    for call in calls:
        with pytest.raises(ImportError, match=rf"{without_numba}.*skobd\[fast\]"):
            call("no data", None)
    assert digest(fitted) == before
    # Nothing but training needs it.
    fitted.predict(iris[0])
    fitted.saliencies(*iris)


def test_auto_does_without(without_numba, iris):
    assert not is_compiled("auto")
    check_engine("auto")
    model = make("classifier").fit(*iris)
    assert model.engine == "auto"
    assert digest(model) == digest(make("classifier", engine="numpy").fit(*iris))


def test_other_integers_of_blas_are_refused():
    with pytest.raises(ImportError, match="other integers"):
        engine._address_of("ddot", "d")


def test_what_has_no_compiled_step(monkeypatch):
    monkeypatch.setattr("skobd._train.minibatch.is_compiled", lambda engine: True)
    objective, _, _ = make_problem("squared_error", 1, n=20)
    X = objective.X
    assert isinstance(make_epochs(objective, 2**21, "numba"), BlockEpochs)
    objective.X = sp.csr_array(X)
    assert isinstance(make_epochs(objective, 10, "numba"), BlockEpochs)


def test_unknown_engine(iris):
    with pytest.raises(ValueError, match="'engine' parameter"):
        make("classifier", engine="cuda").fit(*iris)
