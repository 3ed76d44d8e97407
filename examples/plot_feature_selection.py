"""
Which pixels does a digit need?
===============================

`OBDFeatureSelector` trains a network on all inputs and then deletes the least salient ones, level
by level. On images of digits the pixels at the border go first. The selected pixels serve other
estimators as well, and `stability_selection` tells which of them are selected whatever the sample.

Needs Matplotlib: ``pip install "skobd[plot]"``.
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import train_test_split

from skobd import (
    FeaturePathDisplay,
    OBDFeatureSelector,
    OBDMLPClassifier,
    stability_selection,
)

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws pictures: pip install "skobd[plot]"') from None

# %%
# Pixels have one scale; a strong penalty makes those that say the same compete.
X, y = load_digits(return_X_y=True)
X = X / 16
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(50,), solver="lbfgs", alpha=1, max_iter=300, tol=1e-3, random_state=0
)
selector = OBDFeatureSelector(mlp, n_features_to_select=12)
selector.fit(X_train, y_train, X_val=X_test, y_val=y_test)
FeaturePathDisplay.from_estimator(selector, image_shape=(8, 8))

# %%
# The network at every level is there, and so is what another estimator makes of its pixels.
for index, n_features in enumerate(selector.path_.n_features):
    mask = selector.masks_[index]
    trees = ExtraTreesClassifier(100, random_state=0).fit(X_train[:, mask], y_train)
    print(
        f"{n_features:2d} pixels: network {selector.path_.validation_score[index]:.3f}, "
        f"trees {trees.score(X_test[:, mask], y_test):.3f}"
    )

# %%
# How often is a pixel among the 12 when the network sees another half of the rows?
result = stability_selection(
    mlp, X_train, y_train, n_features_to_select=12, n_subsamples=20, random_state=0
)
fig, ax = plt.subplots(figsize=(4, 3.4), layout="constrained")
image = ax.imshow(result.frequencies[-1].reshape(8, 8), cmap="viridis", vmin=0, vmax=1)
ax.set(xticks=[], yticks=[], title="selected on so many halves")
fig.colorbar(image, ax=ax)
print(f"{result.support[-1].sum()} pixels are selected on three quarters of the halves")
plt.show()
