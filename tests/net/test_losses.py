"""Losses, gradients and curvatures as functions of the raw output."""

import numpy as np
import oracles
import pytest
from numpy.testing import assert_allclose
from problems import LOSS_CASES, make_targets
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from skobd._net.losses import LOSSES


def make_case(name, n_outputs, n=7):
    rng = np.random.default_rng(n_outputs)
    return rng.normal(scale=2, size=(n, n_outputs)), make_targets(name, n_outputs, n, rng)


@pytest.mark.parametrize(("name", "n_outputs"), LOSS_CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient(name, n_outputs, weighted):
    raw, Y = make_case(name, n_outputs)
    weight = np.linspace(0.5, 2, len(raw)) if weighted else None
    s = np.ones(len(raw)) if weight is None else weight
    gradient, prediction = raw.copy(), raw.copy()
    value = LOSSES[name].value_and_gradient(gradient, Y, weight)
    expected = oracles.LOSSES[name]
    assert value == pytest.approx(s @ expected(raw, Y), rel=1e-12)
    for k in range(n_outputs):
        shifted = raw.astype(complex)
        shifted[:, k] += 1e-30j
        assert_allclose(gradient[:, k], s * expected(shifted, Y).imag / 1e-30, atol=1e-12)
    assert LOSSES[name].value(prediction, Y, weight) == value
    link = raw.copy()
    LOSSES[name].inverse_link(link)
    assert_allclose(prediction, link, rtol=1e-12)


@pytest.mark.parametrize(("name", "n_outputs"), LOSS_CASES)
def test_curvature_and_factors(name, n_outputs):
    raw, Y = make_case(name, n_outputs)
    # A network without hidden units whose weights are the identity has theta-independent raw = X.
    oracle = oracles.Oracle((n_outputs, n_outputs), "relu", name, raw, Y)
    theta = np.concatenate([np.eye(n_outputs).ravel(), np.zeros(n_outputs)])
    expected = oracle.output_hessians(theta)
    p = raw.copy()
    LOSSES[name].inverse_link(p)
    factors = np.stack(list(LOSSES[name].factors(p)), axis=-1)
    products = factors @ factors.transpose(0, 2, 1)
    assert_allclose(products, expected, atol=1e-6 * max(1, np.abs(expected).max()))
    assert_allclose(LOSSES[name].curvature(p), np.einsum("nii->ni", products), rtol=1e-10)


def test_values_agree_with_sklearn_metrics():
    raw, Y = make_case("multinomial_log_loss", 3)
    p = raw.copy()
    assert LOSSES["multinomial_log_loss"].value(p, Y, None) == pytest.approx(
        log_loss(Y, p, normalize=False)
    )
    raw, Y = make_case("poisson", 2)
    p = raw.copy()
    assert LOSSES["poisson"].value(p, Y, None) == pytest.approx(
        mean_poisson_deviance(Y.ravel(), p.ravel()) * Y.size / 2
    )
    raw, Y = make_case("squared_error", 2)
    value = LOSSES["squared_error"].value(raw, Y, None)
    assert value == pytest.approx(mean_squared_error(Y, raw) * Y.size / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["binary_log_loss", "multinomial_log_loss"])
def test_exact_where_probabilities_round(name, dtype):
    raw = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype)
    right, wrong = np.eye(2, dtype=bool), ~np.eye(2, dtype=bool)
    assert LOSSES[name].value(raw.copy(), right, None) == 0
    gradient = raw.copy()
    n_terms = 2 if name == "binary_log_loss" else 1
    value = LOSSES[name].value_and_gradient(gradient, wrong, None)
    assert value == pytest.approx(n_terms * 2 * 1e4 * (1 if n_terms == 2 else 2))
    assert gradient.dtype == dtype
    assert_allclose(np.abs(gradient), 1)


@pytest.mark.parametrize(
    ("name", "out_activation"),
    [
        ("squared_error", "identity"),
        ("binary_log_loss", "logistic"),
        ("multinomial_log_loss", "softmax"),
        ("poisson", "exp"),
    ],
)
def test_names_of_inverse_links(name, out_activation):
    assert LOSSES[name].out_activation == out_activation


def test_boolean_targets_are_as_good_as_floats():
    for name in ("binary_log_loss", "multinomial_log_loss"):
        raw, Y = make_case(name, 3)
        gradients = raw.copy(), raw.copy()
        values = [
            LOSSES[name].value_and_gradient(g, y, None)
            for g, y in zip(gradients, (Y, Y.astype(bool)), strict=True)
        ]
        assert values[0] == values[1]
        np.testing.assert_array_equal(*gradients)
