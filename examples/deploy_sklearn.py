"""
From scikit-learn and back
==========================

A network that scikit-learn has trained is pruned, compacted, and goes back to where only
scikit-learn is installed. Needs no extra.
"""

# sphinx_gallery_thumbnail_path = '_static/thumb_sklearn.png'
import pickle

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skobd import OBDMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
mlp = MLPClassifier(max_iter=500, random_state=0).fit(X_train, y_train)

model = OBDMLPClassifier.from_sklearn(mlp).set_params(granularity="unit")
model.prune(X_train, y_train, prune_fraction=0.8)
small = model.compact().to_sklearn()

for name, estimator in (("before", mlp), ("after", small)):
    sizes = [estimator.n_features_in_, *(coef.shape[1] for coef in estimator.coefs_)]
    print(
        f"{name}: {type(estimator).__name__} {'-'.join(map(str, sizes))}, "
        f"{len(pickle.dumps(estimator))} bytes, accuracy {estimator.score(X_test, y_test):.3f}"
    )
