"""Importances of the inputs: their formula, and their price in rows and backward passes."""

import numpy as np
import pytest

from skobd._net.losses import LOSSES
from skobd._net.network import Network
from skobd._net.pruned import PrunedNetwork
from skobd._prune.importances import input_importances
from skobd._train.objective import Objective


@pytest.mark.parametrize("n_outputs", [2, 300])
@pytest.mark.parametrize(("n_samples", "most"), [(500, 500), (1001, 1000), (30_000, 3000)])
def test_work_does_not_grow_with_the_outputs(n_outputs, n_samples, most):
    """A curvature of every sampled row, once; never a factor for each output."""
    table, n_rows = LOSSES["multinomial_log_loss"], []

    def curvature(p):
        n_rows.append(len(p))
        return table.curvature(p)

    loss = table._replace(curvature=curvature, factor=None)
    rng = np.random.default_rng(0)
    network = Network((5, 3, n_outputs))
    X = rng.normal(size=(n_samples, 5)).astype(np.float32)
    Y = np.eye(n_outputs, dtype=bool)[np.arange(n_samples) % n_outputs]
    theta = network.initialise(np.random.RandomState(0), np.float32)
    objective = Objective(network, loss, X, Y)
    importances = input_importances(objective, PrunedNetwork.dense(network, theta))
    assert importances.sum() == pytest.approx(1, abs=1e-5)
    assert most / 2 <= sum(n_rows) <= most


@pytest.mark.parametrize("scale", [1.0, 1e-150])
def test_saliencies_of_a_linear_model(scale):
    """Of half the squared error h is the mean square of the input."""
    rng = np.random.default_rng(0)
    X, network = rng.normal(size=(50, 4)) * [1, 2, 0.5, 3], Network((4, 1))
    theta = np.array([0.5, -1.0, 3.0, 2.0, 0.7]) * scale
    mask = np.array([True, True, True, False, True])
    objective = Objective(network, LOSSES["squared_error"], X, np.zeros((50, 1)))
    saliencies = (X**2).mean(axis=0) * np.array([0.5, -1.0, 3.0, 0.0]) ** 2 / 2
    found = input_importances(objective, PrunedNetwork(network, np.where(mask, theta, 0), mask))
    np.testing.assert_allclose(found, saliencies / saliencies.sum())
