"""
Choose a pruning level by cross-validation
==========================================

A network is trained on breast cancer data, pruned with Optimal Brain Damage to several levels, and
the level is chosen by ``GridSearchCV`` like any other hyper-parameter: the smallest network whose
cross-validated score is within one standard error of the best.

    python examples/quickstart.py
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier

LEVELS = [0.5, 0.8, 0.9, 0.95, 0.98]
N_FOLDS = 5

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Standardised input, because a network learns best from it. L-BFGS and some ``alpha`` bring
# training to a minimum, where the saliencies of Optimal Brain Damage say most.
model = Pipeline(
    [
        ("scale", StandardScaler()),
        (
            "network",
            OBDMLPClassifier(
                hidden_layer_sizes=(10,),
                activation="tanh",
                solver="lbfgs",
                alpha=1.0,
                tol=1e-3,
                random_state=0,
            ),
        ),
    ]
)
n_weights = X.shape[1] * 10 + 10


def standard_errors(results):
    """Of the mean scores; ``std_test_score`` divides by the number of folds, not by one less."""
    return results["std_test_score"] / np.sqrt(N_FOLDS - 1)


def smallest_within_one_standard_error(results):
    """Index of the sparsest candidate whose score is within one standard error of the best."""
    error = standard_errors(results)
    best = np.argmax(results["mean_test_score"])
    good = results["mean_test_score"] >= results["mean_test_score"][best] - error[best]
    levels = np.asarray(results["param_network__prune_fraction"], dtype=float)
    score = np.where(good, levels + 1e-3 * results["mean_test_score"], -np.inf)
    return int(np.argmax(score))


search = GridSearchCV(
    model,
    [
        {"network__prune_fraction": [0.0]},
        # Reaching a level in several rounds, with retraining in between, is gentler than in one.
        {"network__prune_fraction": LEVELS, "network__n_rounds": [1, 5]},
    ],
    cv=N_FOLDS,
    n_jobs=2,
    refit=smallest_within_one_standard_error,
).fit(X_train, y_train)

# %%
# The levels side by side.
print("deleted  rounds  weights left  accuracy (5-fold)  standard error")
results = search.cv_results_
for i, parameters in enumerate(results["params"]):
    level = parameters["network__prune_fraction"]
    print(
        f"{level:7.0%}  {parameters.get('network__n_rounds', '-'):>6}  "
        f"{round((1 - level) * n_weights):12d}  {results['mean_test_score'][i]:17.4f}  "
        f"{standard_errors(results)[i]:14.4f}"
        f"{'  <- chosen' if i == search.best_index_ else ''}"
    )

# %%
# The chosen network against the dense one, on data that neither has seen.
dense = model.set_params(network__prune_fraction=0).fit(X_train, y_train)
chosen = search.best_estimator_
print()
for name, fitted in (("dense", dense), ("chosen", chosen)):
    print(
        f"{name:6s}  {fitted['network'].n_weights_:4d} weights  "
        f"held-out accuracy {fitted.score(X_test, y_test):.4f}"
    )
n_used = len(chosen["network"].used_features_)
print(f"\nThe chosen network uses {n_used} of {X.shape[1]} features.")
