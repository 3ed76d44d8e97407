"""The tolerance of "auto" as a rule on numbers."""

import numpy as np
import pytest

from skobd._net.losses import LOSSES
from skobd._prune.rounds import Round
from skobd._prune.tolerance import Tolerance
from skobd._train.state import Status

NAN = float("nan")


def a_round(score=NAN):
    return Round(
        round=1,
        n_weights=1,
        n_total=2,
        n_left=1,
        loss_after_retraining=1.0,
        n_iter=1,
        validation_loss=NAN,
        validation_score=score,
        loss=1.0,
        status=Status.CONVERGED,
        message="",
    )


def is_within(loss, *, tol=0.1, dense=0.25, constant=1.25, by_penalty=0.0, scale=1.0):
    tolerance = Tolerance(tol, a_round(), scale * dense, scale * constant)
    tolerance = tolerance.after(scale * 0.5, scale * (0.5 + by_penalty))
    return tolerance.judge(a_round(), scale * loss).within_tol


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
@pytest.mark.parametrize(
    ("by_penalty", "most"),
    # A tenth of 1, which the dense network explains, and as much as twice that by the penalty.
    [(0.0, 0.35), (0.05, 0.4), (0.2, 0.55), (5.0, 0.55), (-0.1, 0.35)],
)
def test_the_loss_may_rise_by_a_part_of_what_is_explained(by_penalty, most, scale):
    assert is_within(most - 1e-6, by_penalty=by_penalty, scale=scale)
    assert not is_within(most + 1e-6, by_penalty=by_penalty, scale=scale)


def test_only_the_first_retraining_tells_of_the_penalty():
    tolerance = Tolerance(0.1, a_round(), 0.25, 1.25).after(0.5, 0.5)
    assert tolerance.after(0.5, 0.6) == tolerance


@pytest.mark.parametrize("constant", [0.25, 0.2, 0.0])
def test_a_network_that_explains_nothing_may_lose_nothing(constant):
    assert is_within(0.25, constant=constant)
    assert not is_within(0.250001, constant=constant)


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_what_is_not_finite_is_beyond(loss):
    assert not is_within(loss)


@pytest.mark.parametrize(
    ("dense", "score", "expected"),
    [(0.75, 0.5, True), (0.75, 0.49, False), (1.0, 1.0, True), (1.0, 0.99, False)]
    # R2 may be below 0; a score that is NaN tells nothing.
    + [(-1.0, -3.0, True), (-1.0, -3.01, False), (0.5, NAN, True)],
)
def test_the_score_on_validation_data_comes_first(dense, score, expected):
    tolerance = Tolerance(1.0, a_round(dense), 0.25, 1.25)
    assert tolerance.judge(a_round(score), 100.0).within_tol == expected


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_constant_is_better_than_the_best(name, weighted):
    rng = np.random.default_rng(0)
    Y = rng.poisson(2, size=(9000, 2)).astype(float)
    if "log_loss" in name:
        Y = np.eye(3)[rng.integers(0, 3, 9000)] > 0
    weight = rng.random(9000) if weighted else None
    loss = LOSSES[name]
    total = 9000 if weight is None else weight.sum()
    best = loss.of_constant(Y, weight)
    mean = np.average(Y, axis=0, weights=weight)

    def of(raw):
        return loss.value(np.tile(raw, (9000, 1)), Y, weight) / total

    raw = loss.link(mean)
    assert best == pytest.approx(of(raw), rel=1e-12)
    for step in np.vstack([np.eye(len(raw)), -np.eye(len(raw))]):
        assert of(raw + 0.1 * step) > best
