"""
=====================================
Choosing how much to prune, in one go
=====================================

How many of its weights does a network need? `PruningSearchCV` answers by cross-validation. A
network pruned to 90 % was pruned to 50 % on the way there, so every fold trains once and is
scored at each level, instead of training from scratch for every level.
"""

# %%
# Handwritten digits, and a network with far more weights than they need.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skobd import OBDMLPClassifier, PruningSearchCV

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
mlp = OBDMLPClassifier(
    (40,), solver="lbfgs", alpha=1, tol=1e-3, retrain_max_iter=50, random_state=0
)
search = PruningSearchCV(
    make_pipeline(MinMaxScaler(), mlp), prune_fractions=[0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
)
search.fit(X_train, y_train)

# %%
# The sparsest level within one standard error of the best one is chosen, and all of the training
# data are fitted along the path to it.
network = search.best_estimator_[-1]
print(f"best level: {search.best_params_}")
print(f"{network.n_weights_} of {network.coefs_[0].size + network.coefs_[1].size} weights")
print(f"test accuracy: {search.score(X_test, y_test):.3f}")

# %%
# The scores of the folds, against the weights that are left.
results = search.cv_results_
n_weights, mean = results["mean_n_weights"], results["mean_test_score"]
sem, best = results["sem_test_score"], int(np.argmax(mean))

fig, ax = plt.subplots()
ax.errorbar(n_weights, mean, yerr=sem, marker="o", capsize=3)
ax.axhline(mean[best] - sem[best], linestyle="--", color="0.5", label="one standard error")
ax.axvline(n_weights[search.best_index_], linestyle=":", color="C3", label="chosen")
ax.set(xscale="log", xlabel="surviving weights", ylabel="accuracy")
ax.legend()

# %%
# The path itself is at hand as well: every network on it, and what its deletion was predicted to
# cost and did cost before and after retraining. Here on the training data alone.
path = mlp.pruning_path(
    MinMaxScaler().fit_transform(X_train), y_train, [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
)

fig, ax = plt.subplots()
rounds = slice(1, None)
ax.plot(
    path.n_weights[rounds],
    (path.loss_before + path.predicted_increase)[rounds],
    "o--",
    label="predicted",
)
ax.plot(path.n_weights[rounds], path.loss_after_deletion[rounds], "s-", label="after deletion")
ax.plot(path.n_weights, path.loss_after_retraining, "^-", label="after retraining")
ax.set(xscale="log", yscale="log", xlabel="surviving weights", ylabel="objective")
ax.legend()

# %%
# Any network on the path is an estimator, without training it again.
for index in (0, 3, 6):
    at_step = path.estimator_at(index)
    accuracy = at_step.score(MinMaxScaler().fit(X_train).transform(X_test), y_test)
    print(f"{at_step.n_weights_:5d} weights: test accuracy {accuracy:.3f}")
