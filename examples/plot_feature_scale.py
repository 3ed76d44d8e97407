"""
Saliency does not depend on the units of a feature
==================================================

Multiply a feature by a constant and divide its weights by it: the network computes the same, so
nothing has changed about which weights it needs. The saliency of Optimal Brain Damage, h u^2 / 2,
stays the same too, because h grows with the square of the feature. The magnitude of the weights
does not. Here is what that means for pruning a table whose columns are in different units.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skobd import OBDMLPClassifier

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

# Units from one hundredth to one hundred, as metres, inches and miles would be.
units = 10.0 ** np.random.RandomState(0).uniform(-2, 2, X.shape[1])

# %%
# Two networks that compute the same: one on standardised features, one on features in other
# units, with the first layer's weights divided accordingly. (``alpha=0``: a penalty on the
# weights would itself depend on the units.)


def dense_networks(criterion):
    """The same dense network in both units."""
    networks = []
    for scale in (np.ones_like(units), units):
        network = OBDMLPClassifier(
            hidden_layer_sizes=(10,),
            activation="tanh",
            solver="lbfgs",
            alpha=0,
            max_iter=20,
            tol=0.01,
            prune_fraction=0,
            criterion=criterion,
            retrain_max_iter=0,
            random_state=0,
        ).fit(X_train, y_train)
        first, *others = network.coefs_
        network.coefs_ = [first / scale[:, np.newaxis], *others]
        networks.append((network, scale))
    return networks


for criterion in ("obd", "magnitude"):
    (standard, _), (other, scale) = dense_networks(criterion)
    before = standard.saliencies(X_train, y_train).coefs[0]
    after = other.saliencies(X_train * scale, y_train).coefs[0]
    change = np.max(np.abs(after - before) / np.maximum(before, 1e-12))
    print(f"{criterion:9s}  largest relative change of a saliency: {change:.1e}")

# %%
# Pruned without retraining, so that the choice of weights is all that differs.
print("\naccuracy after deleting       50%     70%     80%     90%")
for criterion in ("obd", "magnitude"):
    for index, units_name in enumerate(("standardised", "other units")):
        scores = []
        for level in (0.5, 0.7, 0.8, 0.9):
            network, scale = dense_networks(criterion)[index]
            network.prune(X_train * scale, y_train, prune_fraction=level, n_rounds=1)
            scores.append(network.score(X_test * scale, y_test))
        print(f"{criterion:9s}  {units_name:12s}    " + "  ".join(f"{s:6.4f}" for s in scores))
