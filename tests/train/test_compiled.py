"""The compiled step against the one in NumPy, and under threads, forks and interrupts."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from joblib import Parallel, delayed
from layouts import LAYOUTS
from models import ESTIMATORS, digest, make
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSS_CASES, in_single_precision, make_problem
from threadpoolctl import threadpool_limits
from waiting import wait_until

from skobd import OBDMLPClassifier
from skobd._net.activations import ACTIVATIONS
from skobd._threads import reproducible_threads
from skobd._train.compiled.engine import check_step, find_step
from skobd._train.compiled.epochs import CompiledEpochs as EpochsOfStep
from skobd._train.minibatch import DenseEpochs, make_epochs
from skobd._train.rows import LazyRows, in_row_order
from skobd._train.settings import SolverSettings
from skobd._train.survivors import Survivors
from skobd._train.updates import UPDATES

pytest.importorskip("numba", reason="the compiled step needs numba: pip install skobd[fast]")

from skobd._train.compiled import kernels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning",
        # Some of the tests fork on purpose.
        "ignore:.*multi-threaded, use of fork:DeprecationWarning",
    ),
]
RULES = {
    "adam": SolverSettings(solver="adam", learning_rate_init=0.01),
    "nesterov": SolverSettings(solver="sgd", learning_rate_init=0.01),
    "momentum": SolverSettings(solver="sgd", learning_rate_init=0.01, nesterovs_momentum=False),
}


@pytest.fixture(autouse=True)
def numba_is_chosen(monkeypatch):
    """Also for the processes that are started."""
    monkeypatch.setenv("SKOBD_ENGINE", "numba")


def CompiledEpochs(objective, batch_size, n_chunks=None):
    """The compiled epochs, whatever is worth it."""
    step = find_step(objective.dtype.name)
    return EpochsOfStep(objective, batch_size, step, n_chunks)


def orders(n, n_epochs=3):
    rng = np.random.default_rng(0)
    return [rng.permutation(n) for _ in range(n_epochs)]


def run(kinds, objective, theta, mask, settings, n_chunks=None, n_threads=1):
    """Mean objectives, parameters and moments after an epoch of each kind in turn."""
    survivors = Survivors(theta, mask)
    update = UPDATES[settings.solver](settings, survivors.values.size, theta.dtype)
    made = {kind: kind(objective, 10, n_chunks) for kind in set(kinds)}
    with np.errstate(all="ignore"), reproducible_threads(n_threads):
        n = objective.n_samples
        values = [
            made[kind].run(survivors, update, order)
            for kind, order in zip(kinds, orders(n, len(kinds)), strict=True)
        ]
    if survivors.positions is not None:
        assert_array_equal(survivors.theta[survivors.positions], survivors.values)
    return values, survivors.theta, update


def problem(loss, n_outputs, activation="tanh", depth=2, weighted=True, alpha=0.3, pruned=True):
    """An objective, parameters of which many are deleted, and the mask."""
    objective, _, theta = make_problem(loss, n_outputs, activation, depth, weighted, alpha, n=47)
    mask = np.random.default_rng(1).random(theta.size) < (0.5 if pruned else 2)
    return objective, np.where(mask, 0.5 * theta, 0), mask


class TestAgainstNumPy:
    @pytest.mark.parametrize("rule", RULES)
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    @pytest.mark.parametrize(("loss", "n_outputs"), LOSS_CASES)
    def test_epochs(self, loss, n_outputs, activation, rule):
        settings = RULES[rule]
        # Every value of each with every value of every other.
        for depth, weighted, alpha, pruned in (
            (0, False, 0.0, False),
            (0, True, 0.3, True),
            (1, False, 0.3, False),
            (1, True, 0.0, True),
            (3, False, 0.0, True),
            (3, True, 0.3, False),
        ):
            case = problem(loss, n_outputs, activation, depth, weighted, alpha, pruned)
            expected, theta, _ = run([DenseEpochs] * 3, *case, settings)
            assert np.isfinite(expected).all()
            for n_chunks in (1, 3):
                values, after, _ = run([CompiledEpochs] * 3, *case, settings, n_chunks)
                assert_allclose(values, expected, rtol=1e-11)
                assert_allclose(after, theta, atol=1e-11)
                assert (after[~case[2]] == 0).all()
                # Not a bit depends on the number of threads.
                with threadpool_limits(3, user_api="blas"):
                    others = run([CompiledEpochs] * 3, *case, settings, n_chunks, None)
                assert others[0] == values
                assert_array_equal(others[1], after)

    @pytest.mark.parametrize("rule", RULES)
    def test_both_continue_each_other(self, rule):
        case = *problem("multinomial_log_loss", 3), RULES[rule]
        values, theta, update = run([DenseEpochs] * 4, *case)
        kinds = [DenseEpochs, CompiledEpochs, CompiledEpochs, DenseEpochs]
        mixed, mixed_theta, mixed_update = run(kinds, *case)
        assert_allclose(mixed, values, rtol=1e-12)
        assert_allclose(mixed_theta, theta, atol=1e-12)
        assert vars(mixed_update).keys() == vars(update).keys()

    def test_float32_stays_float32(self):
        objective, theta, mask = problem("multinomial_log_loss", 3, "logistic")
        narrow = in_single_precision(objective)
        values, after, _ = run(
            [CompiledEpochs] * 3, narrow, theta.astype(np.float32), mask, RULES["adam"]
        )
        expected, expected_after, _ = run([DenseEpochs] * 3, objective, theta, mask, RULES["adam"])
        assert after.dtype == np.float32
        assert_allclose(values, expected, rtol=1e-5)
        assert_allclose(after, expected_after, atol=1e-4)

    def test_divergence_is_seen(self):
        objective, theta, mask = problem("poisson", 1, "identity")
        settings = replace(RULES["nesterov"], learning_rate_init=1e3)
        for kind in (DenseEpochs, CompiledEpochs):
            values, after, _ = run([kind] * 3, objective, theta, mask, settings)
            assert not np.isfinite(values[-1])
            assert not np.isfinite(after).all()

    def test_data_in_any_place(self, tmp_path):
        """LazyRows of a larger array, and arrays that are read-only: without compiling again."""
        objective, theta, mask = problem("squared_error", 2)
        expected = run([CompiledEpochs] * 2, objective, theta, mask, RULES["adam"])
        signatures = find_step("float64").run_steps.signatures
        assert len(signatures) == 1
        rows = np.random.default_rng(0).permutation(60)[:47]
        larger = np.zeros((60, 3))
        larger[rows] = objective.X
        np.save(tmp_path / "X.npy", objective.X)
        X = objective.X
        layouts = [np.asfortranarray(larger), larger[::-1].copy()[::-1]]
        layouts += [np.repeat(larger, 2, axis=1)[:, ::2], larger[:, ::-1].copy()[:, ::-1], larger]
        values = [LazyRows(layout, rows) for layout in layouts]
        for data in (np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r"), *values):
            objective.X = data
            assert isinstance(make_epochs(objective, 10, "adam"), EpochsOfStep)
            values, after, _ = run([CompiledEpochs] * 2, objective, theta, mask, RULES["adam"])
            assert values == expected[0]
            assert_array_equal(after, expected[1])
        assert find_step("float64").run_steps.signatures == signatures

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_any_layout_is_right(self, layout):
        objective, theta, mask = problem("squared_error", 2)
        expected, theta_expected, _ = run([DenseEpochs] * 2, objective, theta, mask, RULES["adam"])
        objective.X = in_row_order(LAYOUTS[layout](objective.X), max_copy_bytes=0)

        def made(*args):
            epochs = make_epochs(objective, 10, "adam")
            assert isinstance(epochs, EpochsOfStep)
            return epochs

        values, after, _ = run([made] * 2, objective, theta, mask, RULES["adam"])
        assert_allclose(values, expected, rtol=1e-11)
        assert_allclose(after, theta_expected, atol=1e-11)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", UPDATES)
    def test_estimators(self, kind, solver, data, monkeypatch):
        X, y = data[kind]
        both = []
        for engine in ("numpy", "numba"):
            monkeypatch.setenv("SKOBD_ENGINE", engine)
            both.append(make(kind, solver=solver, n_regrow=2, retrain_alpha=0.1).fit(X, y))
        assert_allclose(both[1].loss_curve_, both[0].loss_curve_, rtol=1e-6)
        for one, other in zip(*(model.coefs_ for model in both), strict=True):
            assert_allclose(other, one, atol=1e-6)
        compiled = digest(make(kind, solver=solver).fit(X, y))
        monkeypatch.delenv("SKOBD_ENGINE")
        assert digest(make(kind, solver=solver).fit(X, y)) == compiled


class TestElements:
    """Functions of single numbers."""

    def test_numbers_are_places_in_the_tables(self):
        for table in (kernels.LOSSES, kernels.ACTIVATIONS):
            for number, name in enumerate(table):
                assert getattr(kernels, name.upper()) == number
        assert kernels.UPDATES[kernels.ADAM] == "adam"
        assert kernels.UPDATES[kernels.MOMENTUM] == "sgd"

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_accuracy(self, dtype):
        size = np.logspace(-12, 1.9, 5000)
        a = np.concatenate([-size, [0], size, np.linspace(-30, 30, 4001)]).astype(dtype)
        ulp = np.finfo(dtype).eps
        for number, function in (
            (kernels.TANH, np.tanh),
            (kernels.RELU, lambda x: x * (x > 0)),
        ):
            x = a.copy()
            kernels.activate(number, x)
            assert_allclose(x, function(a.astype(float)), rtol=4 * ulp)
        x = a.copy()
        kernels.activate(kernels.LOGISTIC, x)
        assert_allclose(x, 1 / (1 + np.exp(-a.astype(float))), atol=2 * ulp)
        limit = np.log(float(np.finfo(dtype).max))
        a = np.concatenate([a, np.linspace(-0.96, 1.01, 20001) * limit]).astype(dtype)
        x = a.copy()
        kernels.exponentials(kernels.POISSON, x)
        with np.errstate(over="ignore"):
            assert_allclose(x, np.exp(a.astype(float)).astype(dtype), rtol=4 * ulp)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_what_is_not_finite_stays_so(self, dtype):
        special = np.array([np.nan, np.inf, -np.inf, 1e4, -1e4], dtype=dtype)
        expected = {
            kernels.TANH: [np.nan, 1, -1, 1, -1],
            kernels.LOGISTIC: [np.nan, 1, 0, 1, 0],
            kernels.RELU: [np.nan, np.inf, 0, 1e4, 0],
        }
        for number, values in expected.items():
            x = special.copy()
            kernels.activate(number, x)
            assert_array_equal(x, np.array(values, dtype=dtype))
        x = special.copy()
        kernels.exponentials(kernels.POISSON, x)
        assert_allclose(x, [np.nan, np.inf, 0, np.inf, 0], atol=1e-37)


@pytest.fixture(scope="module")
def wide():
    """Data and a network of which a step has chunks for two threads."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(1200, 40)), rng.integers(3, size=1200)


def fitted(wide, seed=0, **parameters):
    defaults = {"max_iter": 4, "n_rounds": 2, "retrain_max_iter": 2, "n_regrow": 1}
    model = OBDMLPClassifier((60,), random_state=seed, **defaults | parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*wide)


def fit_in_child(wide, seed=0):
    return digest(fitted(wide, seed))


def test_the_case_is_for_two_threads(wide):
    with threadpool_limits(2, user_api="blas"), reproducible_threads():
        objective = fitted(wide)._problem(*wide, None).objective
        assert CompiledEpochs(objective, 200)._n_chunks == 2


CODE = """
import sys
sys.path[:0] = {path!r}
import numpy as np
from train.test_compiled import fit_in_child
rng = np.random.default_rng(0)
print(fit_in_child((rng.normal(size=(1200, 40)), rng.integers(3, size=1200))))
"""


class TestConcurrency:
    """Threads, processes and forks: all work, and give the same bits."""

    def test_numbers_of_threads(self, wide):
        digests = set()
        for n_threads in (1, 2, 5):
            with threadpool_limits(n_threads, user_api="blas"):
                digests.add(fit_in_child(wide))
        assert len(digests) == 1

    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_eight_fits_at_once(self, wide, n_threads):
        with threadpool_limits(n_threads, user_api="blas"):
            expected = [fit_in_child(wide, seed) for seed in range(8)]
        with threadpool_limits(n_threads, user_api="blas"), ThreadPoolExecutor(8) as executor:
            found = list(executor.map(lambda seed: fit_in_child(wide, seed), range(8), timeout=300))
        assert found == expected

    @pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
    def test_joblib(self, wide, backend):
        expected = [fit_in_child(wide, seed) for seed in range(3)]
        jobs = (delayed(fit_in_child)(wide, seed) for seed in range(3))
        assert Parallel(n_jobs=2, backend=backend)(jobs) == expected

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_fork_after_a_fit(self, wide):
        with threadpool_limits(2, user_api="blas"):
            expected = fit_in_child(wide)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                found = pool.starmap_async(fit_in_child, [(wide,), (wide,)]).get(timeout=120)
            assert found == [expected] * 2
            # The parent goes on.
            assert fit_in_child(wide) == expected

    def test_another_process(self, wide):
        """Which takes the compiled code from the disk, under another number of threads."""
        names = ("OPENBLAS", "OMP", "MKL")
        code = CODE.format(path=sys.path)
        for n_threads in ("1", "4"):
            environment = {f"{name}_NUM_THREADS": n_threads for name in names}
            process = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | environment,
            )
            assert process.stdout.strip() == fit_in_child(wide)


INTERRUPTED = """
import resource, signal, sys, warnings
sys.path[:0] = {path!r}
# No file can be as large as the compiled code: a disk that is full.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
import numpy as np
from models import digest
from train.test_compiled import fitted
from skobd._train.compiled import engine

def interrupt(*args):
    raise KeyboardInterrupt

rng = np.random.default_rng(0)
wide = rng.normal(size=(1200, 40)), rng.integers(3, size=1200)
signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 1)
try:
    fitted(wide)
    print("fitted")
except KeyboardInterrupt:
    print("interrupted")
# While it compiles numba catches warnings, which must not be caught by two threads at once.
for task in list(engine._tasks.values()):
    task.wait()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from skobd import OBDMLPClassifier
    OBDMLPClassifier(max_iter=1, prune_fraction=0).fit(*wide)
print(sum("cannot be kept on disk" in str(warning.message) for warning in caught))
print(digest(fitted(wide)))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
def test_interrupt_of_the_compiler_and_a_full_disk(wide, tmp_path):
    """The fit ends, the next one has the compiled step, and it is said that none is kept."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED.format(path=sys.path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
    )
    assert process.stdout.split() == ["interrupted", "1", fit_in_child(wide)]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
@pytest.mark.usefixtures("lost_interrupts")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_interrupts_at_random_moments(wide, n_threads):
    """Whatever it interrupts, an estimator is as before or fitted, and no thread is left."""

    n_interrupts = 0

    def interrupt(*args):
        nonlocal n_interrupts
        n_interrupts += 1
        raise KeyboardInterrupt

    expected = fit_in_child(wide)
    start = time.perf_counter()
    fit_in_child(wide)
    seconds, threads = time.perf_counter() - start, threading.enumerate()
    rng = np.random.default_rng(n_threads)
    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with threadpool_limits(n_threads, user_api="blas"):
            for _ in range(25):
                model = None
                try:
                    signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, seconds))
                    model = fitted(wide, max_iter=20)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    pass
                signal.setitimer(signal.ITIMER_REAL, 0)
                if model is not None:
                    assert np.isfinite(model.predict_proba(wide[0])).all()
                assert wait_until(lambda: threading.enumerate() == threads)
            assert fit_in_child(wide) == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert n_interrupts


def test_a_waiting_thread_ends_where_another_fails():
    state = np.zeros(kernels.STATE_SIZE, dtype=np.int64)
    _, sleep_briefly = find_step("float64").addresses
    with ThreadPoolExecutor(1) as executor:
        waiting = executor.submit(kernels.barrier_wait, state, 2, sleep_briefly, 1000)
        time.sleep(0.05)
        assert not waiting.done()
        state[kernels.STOP] = 1
        assert waiting.result(30) == -1


def test_a_step_that_updates_wrongly_is_refused():
    """Even where the loss that it reports is right."""
    step = find_step("float64")

    def run_steps(shape, arrays, *others):
        went_on = step.run_steps(shape, arrays, *others)
        arrays.theta[...] *= 1.001
        return went_on

    check_step(step, "float64")
    with pytest.raises(ImportError, match="wrong numbers"):
        check_step(step._replace(run_steps=run_steps), "float64")


def test_products():
    """BLAS is called, also from a buffer that holds anything."""
    gemm, _ = find_step("float64").addresses
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    for columns in (1, 4):
        out = np.zeros((2, columns))
        kernels.add_product(gemm, a, b[:, :columns].copy(), out)
        np.testing.assert_array_equal(out, a @ b[:, :columns])
        out = np.full((2, 3), np.nan)
        delta = np.arange(2.0 * columns).reshape(2, columns)
        kernels.multiply_by_transposed(gemm, delta, b[:, :columns].copy(), out)
        np.testing.assert_array_equal(out, delta @ b[:, :columns].T)


def test_an_estimator_goes_where_numba_is_not(wide):
    """Nothing of numba is pickled."""
    packed = pickle.dumps(fitted(wide, warm_start=True))
    assert b"numba." not in packed
    assert b"_train.compiled" not in packed
