"""
C for a microcontroller
=======================

emlearn writes the compacted network as C. Here it takes only the inputs that survived, is compiled
with a C compiler and compared with Python.

Needs emlearn, ``pip install "skobd[c]"``, and gcc or another compiler called ``cc``.
"""

# sphinx_gallery_thumbnail_path = '_static/thumb_c.png'
import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier

try:
    import emlearn
except ImportError:
    raise SystemExit('This example writes C by emlearn: pip install "skobd[c]"') from None
compiler = shutil.which("cc") or shutil.which("gcc")
if compiler is None:
    raise SystemExit("This example compiles C: install gcc, or another compiler called cc")

X, y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)
mlp = OBDMLPClassifier(
    (20,),
    solver="lbfgs",
    alpha=3,
    granularity="feature",
    prune_fraction=0.6,
    max_iter=5000,
    random_state=0,
).fit(X, y)
# Inputs first, then hidden units: two small numbers make a small table of weights.
mlp = mlp.set_params(granularity="unit").prune(X, y, prune_fraction=0.9)

# %%
# emlearn compiles the code for itself, too, in the current folder: hence a temporary one.
here = os.getcwd()
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    os.chdir(folder)
    code = mlp.to_c("cancer", used_features_only=True)
    Path("cancer.c").write_text(code)
    include, library = f"-I{emlearn.includedir}", Path(folder, "cancer.so")
    subprocess.run(
        [compiler, "-shared", "-fPIC", include, "cancer.c", "-o", library, "-lm"], check=True
    )
    os.chdir(here)
    predict = ctypes.CDLL(str(library)).cancer_predict
    rows = X[:, mlp.used_features_]
    labels = [predict((ctypes.c_float * len(row))(*row), len(row)) for row in rows]

print(f"{len(mlp.used_features_)} inputs, {mlp.n_weights_} weights, {len(code)} characters of C")
print(f"agrees with Python on {np.mean(mlp.classes_[labels] == mlp.predict(X)):.1%} of the rows")
