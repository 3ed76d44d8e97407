"""The short way: how many frames of skobd lie between a fit and its first product of matrices."""

import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

import skobd
from skobd import OBDMLPClassifier

ROOT = str(Path(skobd.__file__).parent)
# Ours, from `fit` itself to the function that multiplies; scikit-learn has five or six.
MOST = {"adam": 10, "sgd": 10, "lbfgs": 11}


@pytest.mark.parametrize("solver", MOST)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_first_product(solver, monkeypatch):
    """By NumPy, the frames of threads included."""
    monkeypatch.setenv("SKOBD_ENGINE", "numpy")
    matmul, seen = np.matmul, []

    def spy(*args, **kwargs):
        if not seen:
            frame = sys._getframe(1)
            while frame is not None:
                if frame.f_code.co_filename.startswith(ROOT):
                    seen.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}")
                frame = frame.f_back
        return matmul(*args, **kwargs)

    monkeypatch.setattr(np, "matmul", spy)
    OBDMLPClassifier((5,), solver=solver, max_iter=2).fit(*load_iris(return_X_y=True))
    assert seen[0] == "network.py:forward"
    assert seen[-1] == "base.py:fit"
    assert len(seen) <= MOST[solver], "\n".join(reversed(seen))
