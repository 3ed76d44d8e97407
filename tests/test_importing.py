"""Importing skobd changes nothing outside it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import builtins, os, signal, sys, warnings
import joblib, numpy as np, scipy, sklearn, threadpoolctl

def surroundings():
    limits = [(pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]
    return (
        list(sys.meta_path), list(sys.path_hooks), list(sys.path), np.geterr(),
        np.get_printoptions(), list(warnings.filters), dict(os.environ), dict(vars(builtins)),
        signal.getsignal(signal.SIGINT), sys.excepthook, sorted(sklearn.get_config().items()),
    ), limits

# What comes with skobd's dependencies is not its doing.
import sklearn.base, sklearn.neural_network, sklearn.pipeline, sklearn.model_selection
import scipy.sparse, scipy.linalg, scipy.optimize
before, modules = surroundings(), set(sys.modules)
import skobd
after = surroundings()
assert before == after
extras = {"skl2onnx", "onnx", "onnxruntime", "pandas", "matplotlib", "numba"}
assert not extras & (set(sys.modules) - modules)
"""


def test_nothing_outside_is_changed():
    subprocess.run([sys.executable, "-c", CODE], check=True)
