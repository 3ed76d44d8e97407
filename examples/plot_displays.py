"""
See what pruning did
====================

The three displays: the pruning path, the saliencies of the weights, and the surviving network. They
follow scikit-learn's Display convention: made by ``from_estimator`` or ``from_search``, drawn again
with ``plot``, and ``ax_`` and ``figure_`` are Matplotlib's.

Needs Matplotlib: ``pip install "skobd[plot]"``.
"""

# sphinx_gallery_thumbnail_number = -1
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import (
    NetworkDisplay,
    OBDMLPClassifier,
    PruningPathDisplay,
    PruningSearchCV,
    SaliencyDisplay,
)

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws pictures: pip install "skobd[plot]"') from None

data = load_breast_cancer(as_frame=True)
X, y = data.data, data.target

# %%
# Five folds, one path each: score against surviving weights, with the band of one standard error,
# and the sparsest level within one standard error of the best.
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(6,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
)
search = PruningSearchCV(
    make_pipeline(StandardScaler(), mlp),
    prune_fractions=[0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.93, 0.95, 0.97],
    scoring="neg_log_loss",
).fit(X, y)
PruningPathDisplay.from_search(search)

# %%
# A single fit has a path, too: its objective after each deletion, as the saliencies predicted it,
# and after retraining, as in the figures of LeCun, Denker and Solla.
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(6,),
    solver="lbfgs",
    alpha=1,
    max_iter=1000,
    prune_fraction=0.9,
    n_rounds=12,
    random_state=0,
)
model = make_pipeline(StandardScaler(), mlp).fit(X, y)
PruningPathDisplay.from_estimator(model, kind="objective")

# %%
# What each weight is worth: the predicted increase of the objective if it were deleted. Grey
# weights are deleted already.
saliencies = SaliencyDisplay.from_estimator(model, X, y)

# %%
# The same numbers in falling order, and summed for each input, side by side.
_, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
saliencies.plot(left, kind="ranked")
saliencies.plot(right, kind="importance", max_features=12)

# %%
# The network that is left: inputs and units that do not matter are dropped.
NetworkDisplay.from_estimator(model, output_names=data.target_names)

plt.show()
