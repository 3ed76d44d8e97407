"""
C for a microcontroller
=======================

A pruned network with its scaler becomes one C header. It is compiled with a C compiler here, and
compared with Python.

Needs gcc or another compiler called ``cc``.
"""

# sphinx_gallery_thumbnail_path = '_static/thumb_c.png'
import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, to_c

compiler = shutil.which("cc") or shutil.which("gcc")
if compiler is None:
    raise SystemExit("This example compiles C: install gcc, or another compiler called cc")

X, y = load_breast_cancer(return_X_y=True)
mlp = OBDMLPClassifier(
    (20,), solver="lbfgs", alpha=3, prune_fraction=0.9, max_iter=5000, random_state=0
)
pipeline = make_pipeline(StandardScaler(), mlp).fit(X, y)

# %%
# Integer arithmetic learns the ranges of inputs from rows.
code = to_c(pipeline, name="cancer", X=X, y=y, arithmetic="int")
print(code.partition("*/")[0])

# %%
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    source, library = Path(folder, "cancer.c"), Path(folder, "cancer.so")
    source.write_text(code)
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", library, "-lm"], check=True)
    predict = ctypes.CDLL(str(library)).cancer_predict
    rows = [(ctypes.c_float * len(row))(*row) for row in X]
    labels = np.array([predict(row) for row in rows])

print(f"{mlp.n_weights_} weights, {code.constant_bytes} bytes of constants")
print(f"equal to the emulation in Python: {(labels == code.predict(X)).all()}")
print(f"agrees with the pipeline on {np.mean(labels == pipeline.predict(X)):.1%} of the rows")
