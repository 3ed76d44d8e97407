"""Which step is taken, with numba and without, whatever is installed here."""

import ast
import importlib
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest
import scipy.sparse as sp
from models import digest, make
from problems import make_problem

from skobd._net.activations import ACTIVATIONS
from skobd._net.losses import LOSSES
from skobd._train.compiled import blas, check_engine, engine, epochs_or_none
from skobd._train.minibatch import BlockEpochs, DenseEpochs, make_epochs
from skobd._train.updates import UPDATES, Momentum

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
KERNELS = Path(engine.__file__).with_name("kernels.py")
# Rows of a table that the kernels do not know: NumPy takes their steps.
WITHOUT_KERNEL = {"ACTIVATIONS": set(), "LOSSES": set(), "UPDATES": set()}


def absent(name):
    raise ModuleNotFoundError("No module named 'numba'", name="numba")


def too_old(name):
    return types.SimpleNamespace(__version__="0.59.1")


def broken(name):
    raise OSError("libLLVM is of another machine")


def half_imported(name):
    raise AttributeError("module 'numba' has no attribute 'core'")


SAYS = {
    absent: "No module named",
    too_old: "is older than 0.61",
    broken: "another machine",
    half_imported: "no attribute",
}


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not asked for numba yet."""
    monkeypatch.setattr(engine, "_tasks", {})
    monkeypatch.setattr(engine, "_warned", [])


@pytest.fixture(params=SAYS, ids=lambda function: function.__name__)
def without_numba(request, monkeypatch, fresh):
    """A numba that cannot be used."""
    importing = importlib.import_module

    def import_module(name, package=None):
        return request.param(name) if name == "numba" else importing(name, package)

    monkeypatch.setattr(engine.importlib, "import_module", import_module)
    return request.param


def test_by_name_it_is_missed_before_any_work(without_numba, iris, monkeypatch):
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")
    fitted = make("classifier").fit(*iris)
    before = digest(fitted)
    monkeypatch.setenv("SKOBD_ENGINE", "numba")
    calls = [fitted.fit, fitted.prune, fitted.partial_fit, make("classifier").fit]
    for call in calls:
        with pytest.raises(ImportError, match=SAYS[without_numba]) as caught:
            call("no data", None)
        # What is installed need not be installed.
        assert ("pip install" in str(caught.value)) == (without_numba is absent)
    assert digest(fitted) == before
    # Nothing but training needs it.
    fitted.predict(iris[0])
    fitted.saliencies(*iris)


@pytest.mark.parametrize("version", ["0.61.0", "0.61.0rc1", "0.70.2", "1.0.0"])
def test_from_the_oldest_version_on_numba_is_taken(version, fresh, monkeypatch):
    imported = []

    def import_module(name):
        imported.append(name)
        return types.SimpleNamespace(__version__=version)

    monkeypatch.setattr(engine.importlib, "import_module", import_module)
    monkeypatch.setenv("SKOBD_ENGINE", "numba")
    check_engine()
    assert imported == ["numba", "skobd._train.compiled.kernels"]


@pytest.mark.parametrize("auto", ["auto", "", None])
def test_auto_does_without_and_says_why_once(auto, without_numba, iris, monkeypatch):
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")
    expected = digest(make("classifier").fit(*iris))
    if auto is None:
        monkeypatch.delenv("SKOBD_ENGINE")
    else:
        monkeypatch.setenv("SKOBD_ENGINE", auto)
    check_engine()
    model = make("classifier")
    if without_numba is absent:
        model.fit(*iris)
    else:
        with pytest.warns(UserWarning, match=SAYS[without_numba]) as caught:
            model.fit(*iris)
        (told,) = (warning for warning in caught if warning.category is UserWarning)
        assert told.filename == __file__
    assert digest(model) == expected
    # A second warning would be an error.
    model.fit(*iris).partial_fit(*iris)
    assert digest(make("classifier").fit(*iris)) == expected


def test_partial_fit_says_it_too(fresh, iris, monkeypatch):
    monkeypatch.setattr(engine, "_import_kernels", lambda: broken("numba"))
    with pytest.warns(UserWarning, match="another machine"):
        make("classifier").partial_fit(*iris, classes=[0, 1, 2])


class FakeStep:
    """What numba gives: a function, the compilation of which goes wrong in some way."""

    def __init__(self, errors, saves=False):
        self.errors, self.signatures, self.n_recompiled = list(errors), [], 0
        self.saves = saves

    def __call__(self):
        if self.errors:
            if self.saves:
                # It is saved after it was compiled.
                self.signatures.append("float64")
            raise self.errors.pop(0)
        self.signatures.append("float64")

    def recompile(self):
        self.n_recompiled += 1


@pytest.fixture
def building(fresh, monkeypatch):
    """Replaces what numba compiles by steps, the first of which is kept on disk."""

    def replace(kept, unkept):
        def build_run_steps(keep):
            step = kept if keep else unkept
            if isinstance(step, Exception):
                raise step
            return step

        fake = types.SimpleNamespace(build_run_steps=build_run_steps)
        monkeypatch.setattr(engine, "_import_kernels", lambda: fake)
        monkeypatch.setattr(engine, "check_step", lambda step, dtype: step.run_steps())
        return lambda: engine.find_step("float64")

    monkeypatch.delenv("SKOBD_ENGINE", raising=False)
    return replace


class TestTheDisk:
    def test_a_full_one(self, building, monkeypatch):
        """What was compiled is in memory, and is not compiled again."""
        kept = FakeStep([OSError(28, "No space left on device")], saves=True)
        find = building(kept, AssertionError("compiled twice"))
        with pytest.warns(UserWarning, match="No space left.*NUMBA_CACHE_DIR"):
            assert find().run_steps is kept
        monkeypatch.setenv("SKOBD_ENGINE", "numba")
        assert find().run_steps is kept

    def test_a_truncated_file(self, building):
        """It is thrown away, compiled and kept anew; there is nothing to be said."""
        kept = FakeStep([EOFError("Ran out of input")])
        assert building(kept, AssertionError("not kept"))().run_steps is kept
        assert kept.n_recompiled == 1

    def test_one_that_stays_unreadable(self, building):
        kept, unkept = FakeStep([EOFError("Ran out of input")] * 9), FakeStep([])
        with pytest.warns(UserWarning, match="cannot read what it has kept"):
            assert building(kept, unkept)().run_steps is unkept

    def test_no_place(self, building):
        unkept = FakeStep([])
        find = building(RuntimeError("cannot cache function: no locator available"), unkept)
        with pytest.warns(UserWarning, match="no locator"):
            assert find().run_steps is unkept

    def test_no_way_at_all(self, building, monkeypatch):
        """NumPy for "auto", an error by name; each floating type has a step of its own."""
        errors = [AttributeError("module 'numba' has no attribute 'core'")] * 9
        find = building(FakeStep(errors), FakeStep(errors))
        with pytest.warns(UserWarning, match="no attribute 'core'"):
            assert find() is None
        with monkeypatch.context() as patch:
            patch.setenv("SKOBD_ENGINE", "numba")
            with pytest.raises(ImportError, match="no attribute 'core'") as caught:
                find()
        assert "pip install" not in str(caught.value)
        # A second warning would be an error.
        assert find() is None


class TestInterrupts:
    def test_the_import_goes_on_without_who_waits(self, fresh, monkeypatch):
        """And the next one who asks finds what it has done."""
        released, calls = threading.Event(), []

        def slow():
            calls.append(threading.get_ident())
            released.wait(60)
            return "kernels"

        def interrupted(seconds):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(
                engine, "time", types.SimpleNamespace(sleep=interrupted, monotonic=time.monotonic)
            )
            with pytest.raises(KeyboardInterrupt):
                engine._once("kernels", slow)
        released.set()
        assert engine._once("kernels", slow) == "kernels"
        assert len(calls) == 1
        assert calls != [threading.get_ident()]

    def test_one_within_the_import_is_raised_and_forgotten(self, fresh):
        outcomes = [KeyboardInterrupt(), None]

        def once():
            error = outcomes.pop(0)
            if error is not None:
                raise error
            return "kernels"

        with pytest.raises(KeyboardInterrupt):
            engine._once("kernels", once)
        assert engine._once("kernels", once) == "kernels"

    def test_a_fork_in_between(self, fresh, monkeypatch):
        """The child has no thread that would end it, and does not wait for ever."""
        released = threading.Event()
        task = engine._tasks["kernels"] = engine._Task(lambda: released.wait(60))
        monkeypatch.setattr(task, "_process", -1)
        with pytest.raises(RuntimeError, match="forked"):
            engine._once("kernels", released.set)
        released.set()


def test_other_integers_of_blas_are_refused():
    with pytest.raises(ImportError, match="other integers"):
        blas.address_of("ddot", "d")


def test_what_has_no_compiled_step(monkeypatch):
    monkeypatch.setattr("skobd._train.minibatch.epochs_or_none", lambda *args: "compiled")
    objective, _, _ = make_problem("squared_error", 1, n=20)
    assert make_epochs(objective, 10, "adam") == "compiled"
    X = objective.X
    assert isinstance(make_epochs(objective, 2**21, "adam"), BlockEpochs)
    objective.X = sp.csr_array(X)
    assert isinstance(make_epochs(objective, 10, "adam"), BlockEpochs)


def names_in_kernels(table):
    """Names that the source of the kernels declares: read without numba."""
    return next(
        ast.literal_eval(node.value)
        for node in ast.parse(KERNELS.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == table
    )


TABLES = {"ACTIVATIONS": ACTIVATIONS, "LOSSES": LOSSES, "UPDATES": UPDATES}


@pytest.mark.parametrize("table", TABLES)
def test_kernels_know_the_rows_of_the_tables(table):
    assert {*names_in_kernels(table), *WITHOUT_KERNEL[table]} == set(TABLES[table])


@pytest.fixture
def known(monkeypatch):
    """A compiled step that knows the names in the source."""
    names = {table: names_in_kernels(table) for table in TABLES}
    step = types.SimpleNamespace(kernels=types.SimpleNamespace(**names))
    monkeypatch.setattr("skobd._train.compiled.find_step", lambda *args: step)
    monkeypatch.setattr("skobd._train.compiled.CompiledEpochs", lambda *args: "compiled")


class TestNewRows:
    """What the kernels do not name does not train as something else."""

    def epochs(self, solver="adam", loss="squared_error", activation="tanh"):
        objective, _, _ = make_problem("squared_error", 1, n=20)
        network = replace(objective.network, activation=activation)
        objective = objective.replaced(network=network, loss=LOSSES[loss])
        return make_epochs(objective, 10, solver)

    def test_known_ones_are_compiled(self, known, monkeypatch):
        monkeypatch.delenv("SKOBD_ENGINE", raising=False)
        assert self.epochs() == "compiled"
        monkeypatch.setenv("SKOBD_ENGINE", "numpy")
        assert epochs_or_none(None, 10, "adam") is None

    def test_activation(self, known, monkeypatch):
        monkeypatch.setitem(ACTIVATIONS, "new", ACTIVATIONS["tanh"])
        assert isinstance(self.epochs(activation="new"), DenseEpochs)

    def test_loss(self, known, monkeypatch):
        monkeypatch.setitem(LOSSES, "new", LOSSES["squared_error"]._replace())
        assert isinstance(self.epochs(loss="new"), DenseEpochs)

    def test_update(self, known, monkeypatch):
        monkeypatch.setitem(UPDATES, "new", Momentum)
        assert isinstance(self.epochs("new"), DenseEpochs)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_unknown_engine(solver, iris, monkeypatch):
    """It is said before any work, whatever the solver; the network that is there stays."""
    model = make("classifier", solver=solver).fit(*iris)
    before = digest(model)
    monkeypatch.setenv("SKOBD_ENGINE", "cuda")
    message = "SKOBD_ENGINE must be one of auto, numpy, numba, got 'cuda'"
    for call in (model.fit, model.prune, make("classifier", solver=solver).fit):
        with pytest.raises(ValueError, match=message):
            call("no data", None)
    assert digest(model) == before


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_long_wait_is_explained_once(monkeypatch, seconds):
    monkeypatch.setattr(engine, "_PATIENCE", 0.05)
    monkeypatch.setattr(engine, "_tasks", {})
    lines = []
    for _ in range(2):
        outcome = engine._once("a step", lambda: time.sleep(seconds) or "compiled", lines.append)
        assert outcome == "compiled"
    assert lines == ([engine.COMPILING] if seconds else [])
    assert len(engine.COMPILING) <= 79
