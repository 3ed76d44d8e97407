"""
A regression that can be read
=============================

How far diabetes has progressed after a year, from ten measurements of 442 patients. A network with
220 weights is pruned to the sparsest level within one standard error of the best, and what is left
is small enough to look at.

Needs Matplotlib and pandas: ``pip install "skobd[plot]" pandas``.
"""

# sphinx_gallery_thumbnail_number = 2
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import NetworkDisplay, OBDMLPRegressor, PruningPathDisplay, PruningSearchCV

try:
    import matplotlib.pyplot as plt
    import pandas  # noqa: F401
except ImportError:
    raise SystemExit('This example needs: pip install "skobd[plot]" pandas') from None

X, y = load_diabetes(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
# ``alpha`` is measured against the loss, and so the target is standardised, too.
mean, std = y_train.mean(), y_train.std()
y_train, y_test = (y_train - mean) / std, (y_test - mean) / std

# %%
network = OBDMLPRegressor(
    hidden_layer_sizes=(20,), solver="lbfgs", alpha=30, tol=1e-3, max_iter=2000, random_state=0
)
search = PruningSearchCV(
    make_pipeline(StandardScaler(), network), prune_fractions=[0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
)
search.fit(X_train, y_train)
PruningPathDisplay.from_search(search)

# %%
# R² on patients that none of them has seen. On three other splits the pruned network had
# .006 to .012 less than the dense one.
dense = clone(search.estimator).set_params(obdmlpregressor__prune_fraction=0)
ridge = make_pipeline(StandardScaler(), RidgeCV())
for name, model in (
    ("dense network", dense.fit(X_train, y_train)),
    ("pruned network", search.best_estimator_),
    ("ridge regression", ridge.fit(X_train, y_train)),
):
    print(f"{name:16s}  held-out R2 {model.score(X_test, y_test):.3f}")

# %%
# The whole model. The body mass index (bmi) and a blood serum measurement (s5) matter most.
NetworkDisplay.from_estimator(search, output_names=["progression"])
plt.show()
