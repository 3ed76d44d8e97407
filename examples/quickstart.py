"""
How small can a network be?
===========================

Handwritten digits, a network with 2220 weights, and one cross-validated search for the sparsest
network whose score is within one standard error of the best. A few seconds.

Needs Matplotlib for the picture: ``pip install "skobd[plot]"``.
"""

# sphinx_gallery_thumbnail_number = 1
import pickle
import tempfile
from pathlib import Path

from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skobd import OBDMLPClassifier, PruningPathDisplay, PruningSearchCV

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws a picture: pip install "skobd[plot]"') from None

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Every fold is trained once and pruned from dense to sparse, and scored at each level on the way.
# L-BFGS and some ``alpha`` bring training to a minimum, where saliencies say most.
network = OBDMLPClassifier(
    hidden_layer_sizes=(30,), solver="lbfgs", alpha=1, tol=1e-3, max_iter=500, random_state=0
)
search = PruningSearchCV(
    make_pipeline(MinMaxScaler(), network), prune_fractions=[0, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95]
)
search.fit(X_train, y_train)

print("deleted   weights left   accuracy in 5 folds")
results = search.cv_results_
for row, level in enumerate(search.prune_fractions):
    chosen = "   <- chosen" if row == search.best_index_ else ""
    print(
        f"{level:7.0%}   {results['mean_n_weights'][row]:12.0f}   "
        f"{results['mean_test_score'][row]:.3f} +- {results['sem_test_score'][row]:.3f}{chosen}"
    )

# %%
# The chosen network beside the dense one, on digits that neither has seen.
dense = clone(search.estimator).set_params(obdmlpclassifier__prune_fraction=0)
dense.fit(X_train, y_train)
print("\n         weights   pixels used   bytes on disk   held-out accuracy")
for name, model in (("dense", dense), ("pruned", search.best_estimator_)):
    mlp = model[-1]
    print(
        f"{name:6s}   {mlp.n_weights_:7d}   {len(mlp.used_features_):11d}   "
        f"{len(pickle.dumps(model)):13d}   {model.score(X_test, y_test):17.3f}"
    )

# %%
# Score against size, and what each pixel is worth to the chosen network. Grey pixels are not used.
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
PruningPathDisplay.from_search(search, ax=left)
mlp = search.best_estimator_[-1]
worth = mlp.feature_importances_.copy()
worth[[pixel for pixel in range(X.shape[1]) if pixel not in mlp.used_features_]] = float("nan")
right.set_facecolor("0.85")
fig.colorbar(right.imshow(worth.reshape(8, 8)), ax=right, label="saliency")
right.set(title=f"{len(mlp.used_features_)} of 64 pixels are used", xticks=[], yticks=[])

picture = Path(tempfile.gettempdir(), "skobd_quickstart.png")
fig.savefig(picture, dpi=120)
print(f"\npicture: {picture}")
