"""Digests of what fits, paths, searches, selectors and exports leave behind, a line for each case.

Run it before a change and after it, on one machine, and compare: a change of structure alone
changes no line.

    python benchmarks/digests.py > before.txt
"""

import hashlib
import os
import warnings

import numpy as np
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_multilabel_classification,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    stability_selection,
)

warnings.simplefilter("ignore")
BASE = {
    "hidden_layer_sizes": (8,),
    "max_iter": 12,
    "n_rounds": 2,
    "n_regrow": 2,
    "retrain_max_iter": 4,
    "random_state": 0,
}


def made(kind, engine="numpy", **params):
    os.environ["SKOBD_ENGINE"] = engine
    return kind(**BASE | params)


def classifier(**params):
    return made(OBDMLPClassifier, **params)


def regressor(**params):
    return made(OBDMLPRegressor, **params)


def update(hasher, value):
    if value is None or isinstance(value, str | int | float | bool):
        hasher.update(repr(value).encode())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            if "time" not in str(name):
                hasher.update(str(name).encode())
                update(hasher, value[name])
    elif isinstance(value, list | tuple):
        for item in value:
            update(hasher, item)
    else:
        array = (
            np.ma.filled(value, 0) if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
        )
        hasher.update(str(array.dtype).encode() + str(array.shape).encode())
        hasher.update(
            repr(array.tolist()).encode()
            if array.dtype == object
            else np.ascontiguousarray(array).tobytes()
        )


def digest(*values):
    hasher = hashlib.sha256()
    for value in values:
        update(hasher, value)
    return hasher.hexdigest()[:16]


def network(mlp):
    return [
        list(mlp.coefs_),
        list(mlp.intercepts_),
        list(mlp.coef_masks_),
        mlp.pruning_history_,
        mlp.regrowth_history_,
        list(mlp.loss_curve_),
        mlp.validation_scores_,
        mlp.loss_,
        mlp.n_iter_,
        mlp.t_,
        mlp.n_weights_,
    ]


def fitted(mlp, X, y, **params):
    mlp.fit(X, y, **params)
    values = network(mlp) + [mlp.predict(X), mlp.feature_importances_]
    return values + ([mlp.predict_proba(X)] if hasattr(mlp, "predict_proba") else [])


def cases():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    D, d = load_digits(return_X_y=True)
    D, d = D[:400] / 16, d[:400]
    flowers, species = load_iris(return_X_y=True)
    flowers = StandardScaler().fit_transform(flowers)
    R, r = load_diabetes(return_X_y=True)
    R, r = StandardScaler().fit_transform(R), (r - r.mean()) / r.std()
    M, m = make_multilabel_classification(150, n_features=10, random_state=0)
    M = StandardScaler().fit_transform(M)
    w = np.random.RandomState(0).uniform(0.5, 2, len(y))
    text = np.array(["benign", "malign"])[y]
    for solver in ("adam", "sgd", "lbfgs"):
        for criterion in ("obd", "unit_obs", "obs", "kfac", "magnitude", "random"):
            yield (
                f"classifier {solver} {criterion}",
                lambda s=solver, c=criterion: fitted(
                    classifier(solver=s, criterion=c, hidden_layer_sizes=(5,)), flowers, species
                ),
            )
    for granularity in ("unit", "feature"):
        for criterion in ("obd", "unit_obs", "kfac", "random"):
            yield (
                f"classifier {granularity} {criterion}",
                lambda g=granularity, c=criterion: fitted(
                    classifier(solver="lbfgs", granularity=g, criterion=c, prune_fraction=0.5), X, y
                ),
            )
    for curvature in ("hessian", "levenberg_marquardt", "gauss_newton"):
        yield (
            f"curvature {curvature}",
            lambda c=curvature: fitted(classifier(curvature=c, activation="tanh"), D, d),
        )
    for activation in ("identity", "logistic", "tanh", "relu"):
        yield (
            f"activation {activation}",
            lambda a=activation: fitted(classifier(activation=a, hidden_layer_sizes=(6, 5)), D, d),
        )
    for rate in ("constant", "invscaling", "adaptive", "cosine"):
        yield (
            f"rate {rate}",
            lambda schedule=rate: fitted(
                classifier(
                    solver="sgd",
                    learning_rate=schedule,
                    learning_rate_init=0.05,
                    early_stopping=schedule == "adaptive",
                ),
                X,
                y,
            ),
        )
    for loss in ("squared_error", "poisson"):
        for solver in ("adam", "lbfgs"):
            yield (
                f"regressor {loss} {solver}",
                lambda name=loss, s=solver: fitted(regressor(loss=name, solver=s), R, np.abs(r)),
            )
    yield "regressor many outputs", lambda: fitted(regressor(), R, np.c_[r, r**2])
    yield "multilabel", lambda: fitted(classifier(), M, m)
    yield "strings", lambda: fitted(classifier(), X, text)
    yield "float32", lambda: fitted(classifier(), X.astype("f4"), y)
    yield "weights", lambda: fitted(classifier(), X, y, sample_weight=w)
    yield "class weights", lambda: fitted(classifier(class_weight="balanced"), X, y)
    yield (
        "weights lbfgs",
        lambda: fitted(
            classifier(solver="lbfgs", class_weight={0: 1, 1: 3}), X, y, sample_weight=w
        ),
    )
    yield (
        "validation data",
        lambda: fitted(
            classifier(early_stopping=True), X[:400], y[:400], X_val=X[400:], y_val=y[400:]
        ),
    )
    yield "held-out rows", lambda: fitted(classifier(early_stopping=True), X, y)
    yield "tolerance", lambda: fitted(classifier(prune_fraction="auto", n_rounds=4), X, y)
    yield (
        "tolerance, scores",
        lambda: fitted(
            classifier(prune_fraction="auto", prune_tol=0.0, n_rounds=4, early_stopping=True), X, y
        ),
    )
    yield "no hidden layer", lambda: fitted(classifier(hidden_layer_sizes=()), D, d)
    yield "dense", lambda: fitted(classifier(prune_fraction=0), D, d)
    yield (
        "warm start",
        lambda: (lambda c: fitted(c.fit(X, y), X, y))(
            classifier(warm_start=True, prune_fraction=0.5)
        ),
    )
    yield (
        "default recipe",
        lambda: fitted(
            made(OBDMLPClassifier, hidden_layer_sizes=(100,), n_rounds=5, n_regrow=8), X, y
        ),
    )
    yield "sparse", lambda: fitted(classifier(), sparse.csr_matrix(D), d)
    yield (
        "groups",
        lambda: fitted(
            classifier(
                granularity="feature", feature_groups=[[0, 1], [2, 3, 4]], prune_fraction=0.6
            ),
            X,
            y,
        ),
    )
    yield "large batch", lambda: fitted(classifier(batch_size=400), D, d)
    yield (
        "partial_fit",
        lambda: network(
            (lambda c: [c.partial_fit(X, y, classes=[0, 1]) for _ in range(5)][-1])(classifier())
        ),
    )
    yield (
        "partial_fit regressor",
        lambda: network((lambda c: [c.partial_fit(R, r) for _ in range(5)][-1])(regressor())),
    )
    yield (
        "fit, partial_fit",
        lambda: network(
            (lambda c: [c.partial_fit(X, y) for _ in range(5)][-1])(
                classifier(warm_start=True).fit(X, y)
            )
        ),
    )
    yield (
        "prune",
        lambda: network(
            classifier(prune_fraction=0.3).fit(X, y).prune(X, y, prune_fraction=0.8, n_rounds=2)
        ),
    )
    yield (
        "prune early",
        lambda: network(
            classifier(prune_fraction=0.3, early_stopping=True)
            .fit(X, y)
            .prune(X, y, prune_fraction=0.8)
        ),
    )
    yield (
        "compact",
        lambda: network(classifier(granularity="unit", prune_fraction=0.5).fit(X, y).compact()),
    )
    yield (
        "from_sklearn",
        lambda: network(
            OBDMLPClassifier.from_sklearn(
                classifier(prune_fraction=0).fit(X, y).to_sklearn()
            ).prune(X, y, prune_fraction=0.8, n_rounds=1)
        ),
    )
    yield "to_sklearn", lambda: list(classifier().fit(X, y).to_sklearn().coefs_)
    yield "second_derivatives", lambda: dict(classifier().fit(X, y).second_derivatives(X, y))
    yield "saliencies", lambda: dict(classifier(criterion="kfac").fit(X, y).saliencies(X, y))
    yield "predicted_decreases", lambda: dict(classifier().fit(X, y).predicted_decreases(X, y))

    def path(mlp, X, y, **params):
        path = mlp.pruning_path(X, y, **params)
        return [
            path.n_weights,
            path.loss_after_retraining,
            path.prune_fractions,
            *(network(path.estimator_at(k)) for k in range(len(path.n_weights))),
        ]

    yield "path", lambda: path(classifier(), X, y, prune_fractions=[0.3, 0.6, 0.9])
    yield "path of own levels", lambda: path(classifier(solver="lbfgs"), flowers, species)
    yield (
        "path with validation",
        lambda: path(
            classifier(), X[:400], y[:400], prune_fractions=[0.5, 0.8], X_val=X[400:], y_val=y[400:]
        ),
    )
    yield "path of regressor", lambda: path(regressor(), R, r, prune_fractions=[0.5, 0.8])

    def search(estimator, X, y, fit=None, **params):
        found = PruningSearchCV(estimator, prune_fractions=[0, 0.5, 0.8, 0.9], cv=3, **params).fit(
            X, y, **(fit or {})
        )
        last = (
            found.best_estimator_[-1]
            if hasattr(found.best_estimator_, "steps")
            else found.best_estimator_
        )
        return [found.cv_results_, found.best_index_, network(last)]

    yield "search", lambda: search(classifier(), X, y)
    yield (
        "search pipeline",
        lambda: search(make_pipeline(StandardScaler(), classifier(solver="lbfgs")), X, y),
    )
    yield (
        "search grid",
        lambda: search(
            classifier(solver="lbfgs"), flowers, species, param_grid={"alpha": [0.01, 1]}
        ),
    )
    yield (
        "search several scores",
        lambda: search(
            classifier(),
            X,
            y,
            scoring=["accuracy", "neg_log_loss"],
            refit="neg_log_loss",
            return_train_score=True,
        ),
    )
    yield "search weights", lambda: search(classifier(), X, y, fit={"sample_weight": w})
    yield (
        "search regressor",
        lambda: search(regressor(), R, r, scoring="neg_mean_squared_error", selection="best"),
    )

    def selector(estimator, X, y, **params):
        found = OBDFeatureSelector(estimator, **params).fit(X, y)
        last = found.estimator_[-1] if hasattr(found.estimator_, "steps") else found.estimator_
        return [found.support_, found.ranking_, network(last), getattr(found, "cv_results_", None)]

    yield "selector", lambda: selector(classifier(solver="lbfgs"), X, y, n_features_to_select=5)
    yield (
        "selector cv",
        lambda: selector(
            make_pipeline(StandardScaler(), classifier(solver="lbfgs", criterion="kfac")),
            X,
            y,
            cv=3,
        ),
    )
    yield (
        "selector regressor",
        lambda: selector(regressor(solver="lbfgs"), R, r, n_features_to_select=0.5, step=1),
    )

    def stable():
        result = stability_selection(
            classifier(solver="lbfgs"), X, y, n_features_to_select=5, n_subsamples=4, random_state=0
        )
        return [result.masks, result.frequencies, result.error_bound]

    yield "stability", stable
    try:
        import numba  # noqa: F401
    except ImportError:
        return
    yield "numba adam", lambda: fitted(classifier(engine="numba"), D, d)
    yield "numba sgd", lambda: fitted(classifier(engine="numba", solver="sgd"), D, d)
    yield "numba regressor", lambda: fitted(regressor(engine="numba"), R, r)
    yield "numba float32", lambda: fitted(classifier(engine="numba"), D.astype("f4"), d)
    yield "numba weights", lambda: fitted(classifier(engine="numba"), X, y, sample_weight=w)
    yield "numba search", lambda: search(classifier(engine="numba"), X, y)


for name, case in cases():
    try:
        print(f"{name}: {digest(case())}", flush=True)
    except Exception as error:
        print(f"{name}: {type(error).__name__} {error}", flush=True)
