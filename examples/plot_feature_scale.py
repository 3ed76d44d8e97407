"""
Saliency does not depend on the units of a feature
==================================================

Measure a feature in other units and divide its weights accordingly: the network computes the same,
so nothing has changed about which weights it needs. The saliency of Optimal Brain Damage,
h u² / 2, stays the same too, because the curvature h grows with the square of the feature. The
magnitude of the weights does not stay the same, and deleting by it goes wrong.

Needs Matplotlib: ``pip install "skobd[plot]"``.
"""

import copy

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier

try:
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit('This example draws a picture: pip install "skobd[plot]"') from None

# %%
# A dense network on standardised features. (Pixels that never change are left out.)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
varies = X_train.std(axis=0) > 0
scaler = StandardScaler().fit(X_train[:, varies])
X_train, X_test = scaler.transform(X_train[:, varies]), scaler.transform(X_test[:, varies])
dense = OBDMLPClassifier(
    hidden_layer_sizes=(10,),
    activation="tanh",
    solver="lbfgs",
    alpha=1,
    max_iter=500,
    prune_fraction=0,
    random_state=0,
).fit(X_train, y_train)
print(f"dense: {dense.n_weights_} weights, held-out accuracy {dense.score(X_test, y_test):.3f}")

# %%
# The same network for features in other units, from one hundredth to one hundred times as large, as
# metres, inches and miles would be. A penalty on the weights would itself depend on the units, so
# that there is none from here on.


def in_units(units):
    """The dense network for features that are ``units`` times as large."""
    network = copy.deepcopy(dense).set_params(alpha=0, retrain_max_iter=0)
    network.coefs_ = [dense.coefs_[0] / units[:, np.newaxis], *dense.coefs_[1:]]
    return network


draws = 10.0 ** np.random.default_rng(0).uniform(-2, 2, (5, X_train.shape[1]))
same = np.ones(X_train.shape[1])
before = in_units(same).saliencies(X_train, y_train).coefs[0]
after = in_units(draws[0]).saliencies(X_train * draws[0], y_train).coefs[0]
print(f"the saliencies agree to {np.max(np.abs(after - before)) / np.max(before):.0e}")

# %%
# Pruned in one go and without retraining, so that the choice of weights is all that differs.
levels = np.arange(0, 0.75, 0.1)


def accuracies(criterion, units):
    """Held-out accuracy after each level."""
    scores = []
    for level in levels:
        network = in_units(units).set_params(criterion=criterion)
        network.prune(X_train * units, y_train, prune_fraction=level, n_rounds=1)
        scores.append(network.score(X_test * units, y_test))
    return scores


fig, ax = plt.subplots(layout="constrained")
for criterion, colour in (("obd", "C0"), ("magnitude", "C1")):
    scaled = np.array([accuracies(criterion, units) for units in draws])
    ax.plot(levels, accuracies(criterion, same), color=colour, label=f"{criterion}, standardised")
    ax.plot(levels, scaled.mean(axis=0), "o--", color=colour, label=f"{criterion}, other units")
    ax.fill_between(levels, scaled.min(axis=0), scaled.max(axis=0), color=colour, alpha=0.2)
    print(f"{criterion:9s} in other units, 50 % deleted: {scaled.mean(axis=0)[5]:.3f}")
ax.set(xlabel="fraction deleted", ylabel="held-out accuracy")
ax.legend()

# %%
# The two lines of ``obd`` are one. On features of one scale magnitude does as well, or better at
# high levels without retraining; it is the units that mislead it. Band: five draws of the units.
plt.show()
