"""
A network for a microcontroller
===============================

Digits of 8 x 8 pixels, as a cheap optical sensor gives them, are to be read by a microcontroller
that has 1,000 bytes left for the constants of a model. One path of pruning gives networks of all
sizes; `to_c` says how many bytes each takes, and how well the 8-bit code predicts, before there is
any C compiler.

Needs nothing; where there is a C compiler called ``cc`` or ``gcc``, the code is compiled and run.
"""

# sphinx_gallery_thumbnail_path = '_static/thumb_c.png'
import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skobd import OBDMLPClassifier, to_c

BUDGET = 1000

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=500, stratify=y, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Networks along one path, each behind the scaler. The code computes in integers: ranges of inputs
# and activations are those of the training rows, and what is beyond them saturates.
scaler = MinMaxScaler().fit(X_train)
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(40,), solver="lbfgs", alpha=1, max_iter=200, tol=1e-3, random_state=0
)
path = mlp.pruning_path(
    scaler.transform(X_train), y_train, prune_fractions=[0.5, 0.65, 0.75, 0.82, 0.87, 0.91, 0.94]
)
codes = []
print("weights  constants  instructions  stack  accuracy on validation rows")
for level, n_weights in enumerate(path.n_weights):
    pipeline = make_pipeline(scaler, path.estimator_at(level))
    code = to_c(pipeline, name="digits", X=X_train, arithmetic="int")
    accuracy = np.mean(code.predict(X_val) == y_val)
    codes.append((accuracy, pipeline, code))
    sizes = f"{code.constant_bytes:9,}  {code.code_bytes:12,}  {code.scratch_bytes:5,}"
    print(f"{n_weights:7,}  {sizes}  {accuracy:.3f}")

# %%
# The most accurate one that fits, and of equals the smallest, is written, with a test of itself.
# `code.predict` computes in Python what the code computes, bit for bit.
_, pipeline, code = max(
    (found for found in codes if found[2].constant_bytes <= BUDGET),
    key=lambda found: (found[0], -found[2].constant_bytes),
)
code = to_c(pipeline, name="digits", X=X, y=y, arithmetic="int", self_test=20)
print(code.partition("x has")[0])
in_python, emulated = pipeline.predict(X_test), code.predict(X_test)
print(f"held-out accuracy: {np.mean(in_python == y_test):.3f} in double precision")
print(f"                   {np.mean(emulated == y_test):.3f} in 8-bit integers")


# %%
# On the device, ``digits_predict`` takes an array of 64 numbers, and whatever the scaler did is
# part of it. Here the compiler of this machine makes a library of it.
def run_self_test(source: Path, compiler: str) -> int:
    """Return how many of the rows that the code carries come out differently."""
    program = source.with_suffix(".exe")
    command = [compiler, "-Ddigits_SELF_TEST", source, "-o", program, "-lm"]
    subprocess.run(command, check=True)
    return subprocess.run([program], check=False).returncode


def predict_compiled(source: Path, compiler: str) -> np.ndarray:
    """Predict the test rows by the compiled code."""
    library = source.with_suffix(".so")
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    predict = ctypes.CDLL(str(library)).digits_predict
    rows = np.float32(X_test)
    return np.array([predict(row.ctypes.data_as(ctypes.c_void_p)) for row in rows])


compiler = shutil.which("cc") or shutil.which("gcc")
if compiler is None:
    print("There is no C compiler to try it with: install gcc, or another one called cc.")
else:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source = Path(folder, "digits.c")
        source.write_text(code)
        print(f"rows of the self test that fail: {run_self_test(source, compiler)}")
        compiled = predict_compiled(source, compiler)
    print(f"compiled code equals the emulation: {np.array_equal(compiled, emulated)}")
