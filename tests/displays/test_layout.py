"""Which part of a network `NetworkDisplay` draws, and where its texts are."""

import itertools

import numpy as np
import pytest

from skobd._displays.layout import active_network, clear_places
from skobd._net.network import Network


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_active_network_is_what_matters(activation):
    rng = np.random.RandomState(0)
    network = Network((6, 5, 5, 2), activation)
    X = rng.randn(10, 6)
    for _ in range(20):
        theta = rng.randn(network.n_parameters)
        theta[rng.rand(theta.size) > 0.25] = 0
        coefs, intercepts = network.coefs(theta), network.intercepts(theta)
        active = active_network(coefs, intercepts, activation)
        # Units are on a path of connections from an input to an output.
        links = [weights != 0 for weights in coefs]
        reached = list(itertools.accumulate([np.ones((1, 6), bool), *links], np.matmul))
        reaching = list(
            itertools.accumulate([np.ones((2, 1), bool), *links[::-1]], lambda b, a: a @ b)
        )
        for index in range(3):
            on_path = reached[index].any(axis=0) & reaching[3 - index].any(axis=1)
            np.testing.assert_array_equal(active.units[index], np.flatnonzero(on_path))
        np.testing.assert_array_equal(active.units[-1], [0, 1])
        # It alone predicts what the whole predicts.
        x = X[:, active.units[0]]
        for index, (weights, values) in enumerate(
            zip(active.coefs, active.intercepts, strict=True)
        ):
            x = x @ weights + values
            if index < 2:
                network.f.apply(x)
        np.testing.assert_allclose(x, network.raw_output(theta, X), atol=1e-12)


def test_texts_on_connections_are_clear_of_each_other():
    # A star through one point: the middles coincide.
    angles = np.linspace(0, np.pi, 6, endpoint=False)
    ends = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    segments = np.stack([-ends, ends], axis=1)
    places = clear_places(segments)
    across = np.cross(np.c_[places, np.zeros(6)], np.c_[ends, np.zeros(6)])
    np.testing.assert_allclose(across, 0, atol=1e-12)
    gaps = np.linalg.norm(places[:, np.newaxis] - places, axis=2)[np.triu_indices(6, 1)]
    assert gaps.min() >= 0.19
