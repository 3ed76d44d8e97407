"""How targets are scored."""

import numpy as np
import pytest

from skobd._mlp.targets import ClassTargets


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2]])
def test_rows_count_by_their_weight_in_the_score_of_classes(classes):
    targets = ClassTargets().learn(np.array(classes))
    Y = targets.encode(np.array([1, 0]), np.dtype(float))
    first = targets.encode(np.array([1, 1]), np.dtype(float))
    assert targets.score(first * 0.9, Y, np.array([3.0, 1.0])) == 0.75
    assert targets.score(first * 0.9, Y, None) == 0.5
