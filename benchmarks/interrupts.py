"""Does an interrupt leave anything behind: the limit of BLAS, a thread, an unusable estimator?

    python benchmarks/interrupts.py                 # about four minutes
    python benchmarks/interrupts.py --n 500 --seed 1

Every call is interrupted by a signal at --n random moments, and by KeyboardInterrupt before --n of
the byte codes of `skobd._threads`, all of them where they are no more (those that lie between two
signals are where the limit of BLAS is taken and given back). After each interrupt BLAS must have
its threads, no thread of skobd be left, and the estimator be either as before or fitted; each
tenth time it is fitted again and compared with one that was never interrupted. A solver may end
gently instead of raising: that is an interrupt, too. The exit status is 1 if any count is not 0.
"""

import copy
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from _common import arguments, print_environment, print_table
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from threadpoolctl import ThreadpoolController, threadpool_limits

import skobd._threads
from skobd import OBDMLPClassifier, PruningSearchCV

X, y = make_classification(2000, 200, n_informative=20, n_classes=4, random_state=0)
BLAS = ThreadpoolController().select(user_api="blas").lib_controllers


class Case(NamedTuple):
    """A call that is interrupted: of what, and how."""

    make: Callable[[], Any]
    call: Callable[[Any], Any]


def dense(**parameters: Any) -> OBDMLPClassifier:
    short = {"max_iter": 2, "n_rounds": 1, "retrain_max_iter": 2}
    return OBDMLPClassifier((100,), prune_fraction=0.5, random_state=0, **short, **parameters)


def predict_row_by_row(estimator: Any) -> None:
    for row in X[:200]:
        estimator.predict_proba(row[np.newaxis])


def cases() -> dict[str, Case]:
    """The calls; networks and minibatches are large enough for several threads."""
    lbfgs, adam = dense(solver="lbfgs"), dense(batch_size=1000)
    fitted = copy.deepcopy(adam).fit(X, y)
    many_rows = np.tile(X, (15, 1))
    search = PruningSearchCV(adam, prune_fractions=[0.0, 0.5], cv=2)
    return {
        "fit, lbfgs": Case(lambda: copy.deepcopy(lbfgs), lambda e: e.fit(X, y)),
        "fit, adam": Case(lambda: copy.deepcopy(adam), lambda e: e.fit(X, y)),
        "partial_fit": Case(lambda: copy.deepcopy(fitted), lambda e: e.partial_fit(X, y)),
        "prune": Case(lambda: copy.deepcopy(fitted), lambda e: e.prune(X, y, prune_fraction=0.8)),
        "predict, one row": Case(lambda: fitted, predict_row_by_row),
        "predict, many rows": Case(lambda: fitted, lambda e: e.predict_proba(many_rows)),
        "search": Case(lambda: copy.deepcopy(search), lambda e: e.fit(X, y)),
    }


class Signal:
    """An interrupt by a timer."""

    def __init__(self, delay: float) -> None:
        self.delay, self.has_come = delay, False

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self.delay)

    def __exit__(self, *error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, number: int, frame: Any) -> None:
        self.has_come = True
        raise KeyboardInterrupt


class ByteCode:
    """An interrupt before one of the byte codes of `skobd._threads` in the calling thread."""

    def __init__(self, at: float) -> None:
        self.at, self.n_seen = at, 0
        # Python 3.12 has to see this before a trace is set.
        sys._getframe().f_trace_opcodes = True

    def __enter__(self) -> None:
        sys.settrace(self._begin)

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)

    @property
    def has_come(self) -> bool:
        return self.n_seen >= self.at

    def _begin(self, frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != skobd._threads.__file__:
            return None
        frame.f_trace_opcodes = True
        return self._step

    def _step(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "opcode":
            self.n_seen += 1
            if self.n_seen == self.at:
                raise KeyboardInterrupt
        return self._step


def blas_threads() -> list[int]:
    return [library.num_threads for library in BLAS]


def are_left(threads: list[threading.Thread]) -> bool:
    """Whether there are other threads than these, even a while later."""
    for _ in range(400):
        if threading.enumerate() == threads:
            return False
        time.sleep(0.005)
    return True


def output(estimator: Any) -> np.ndarray | None:
    """Probabilities of some rows, None if it is not fitted."""
    try:
        return estimator.predict_proba(X[:50])
    except (NotFittedError, AttributeError):
        return None


def count_failures(case: Case, interrupts: Iterable[Signal | ByteCode]) -> list[int]:
    """Numbers of interrupts, of stuck limits, left threads and unusable estimators."""
    limits, threads = blas_threads(), threading.enumerate()
    reference = case.make()
    case.call(reference)
    expected = output(reference)
    counts = [0, 0, 0, 0]
    for interrupt in interrupts:
        estimator, error = case.make(), None
        was_fitted = output(estimator) is not None
        try:
            with interrupt:
                case.call(estimator)
        except KeyboardInterrupt as raised:
            # Kept while we look, as an interactive session keeps it.
            error = raised
        if not interrupt.has_come:
            continue
        counts[0] += 1
        counts[1] += blas_threads() != limits
        counts[2] += are_left(threads)
        found = output(estimator)
        is_usable = np.isfinite(found).all() if found is not None else not was_fitted
        if counts[0] % 10 == 0 and is_usable:
            again = case.make()
            case.call(again)
            is_usable = np.array_equal(output(again), expected)
            if not was_fitted and error is not None:
                case.call(estimator)
                is_usable = is_usable and np.array_equal(output(estimator), expected)
        counts[3] += not is_usable
        # So that one failure is not counted twice.
        for library, n_threads in zip(BLAS, limits, strict=True):
            library.set_num_threads(n_threads)
        threads = threading.enumerate()
    return counts


def interrupts_of(
    case: Case, n: int, rng: np.random.Generator
) -> dict[str, Iterable[Signal | ByteCode]]:
    """Interrupts of both kinds, spread over a call."""
    case.call(case.make())
    start = time.perf_counter()
    case.call(case.make())
    seconds = time.perf_counter() - start
    estimator, counter = case.make(), ByteCode(np.inf)
    with counter:
        case.call(estimator)
    places = np.arange(1, counter.n_seen + 1)
    if len(places) > n:
        places = np.sort(rng.choice(places, n, replace=False))
    return {
        "signal": (Signal(max(delay, 1e-6)) for delay in rng.uniform(0, seconds, n)),
        "byte code": (ByteCode(int(place)) for place in places),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--n", type=int, default=50, help="interrupts of each kind and call")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print_environment()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(options.seed)
    rows = []
    # Two threads or more, whatever the machine has.
    n_threads = max(2, *blas_threads())
    with threadpool_limits(n_threads, user_api="blas"):
        for name, case in cases().items():
            for kind, interrupts in interrupts_of(case, options.n, rng).items():
                rows.append([name, kind, *count_failures(case, interrupts)])
    totals = np.sum([row[2:] for row in rows], axis=0)
    rows.append(["all", "", *totals])
    print_table(
        rows,
        ["call", "interrupt", "came", "stuck limits", "left threads", "unusable estimators"],
    )
    sys.exit(int(totals[1:].any()))


if __name__ == "__main__":
    main()
