"""
Choosing how much to prune
==========================

How many of its weights does a network need? `PruningSearchCV` answers by cross-validation. A
network pruned to 90 % was pruned to 50 % on the way there, so every fold trains once and is scored
at each level, instead of training from scratch for every level.

Needs Matplotlib: ``pip install "skobd[plot]"``.
"""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier, PruningPathDisplay, PruningSearchCV

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws pictures: pip install "skobd[plot]"') from None

# %%
# Log loss tells levels apart where accuracy, on a few hundred rows, cannot.
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=1)
mlp = OBDMLPClassifier(
    hidden_layer_sizes=(20,), solver="lbfgs", alpha=1, tol=1e-3, max_iter=1000, random_state=0
)
model = make_pipeline(StandardScaler(), mlp)
search = PruningSearchCV(
    model,
    prune_fractions=[0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98],
    scoring="neg_log_loss",
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
)
search.fit(X_train, y_train)
PruningPathDisplay.from_search(search)

# %%
# The sparsest level within one standard error of the best is chosen, and all of the training data
# are fitted along the path to it. Any network along a path is an estimator, without training again.
print(f"level {search.best_params_['obdmlpclassifier__prune_fraction']:.0%} is chosen")
pruned = search.best_estimator_
print(f"{pruned[-1].n_weights_} weights, held-out accuracy {pruned.score(X_test, y_test):.3f}")

scaler = StandardScaler().fit(X_train)
path = mlp.pruning_path(scaler.transform(X_train), y_train, prune_fractions=search.prune_fractions)
X_test_scaled = scaler.transform(X_test)
for index in range(0, len(path.prune_fractions), 2):
    estimator = path.estimator_at(index)
    print(
        f"level {path.prune_fractions[index]:4.0%}: {path.n_weights[index]:3d} weights, "
        f"held-out accuracy {estimator.score(X_test_scaled, y_test):.3f}"
    )

# %%
# A single fit has a path, too: the objective after each deletion, as the saliencies predicted it,
# and after retraining.
PruningPathDisplay.from_path(path, kind="objective")
plt.show()
