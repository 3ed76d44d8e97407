"""Draw the pictures of docs/images on real data: python docs/make_images.py --data DIR."""

import itertools
import sys
import warnings
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skobd import (
    FeaturePathDisplay,
    NetworkDisplay,
    OBDFeatureSelector,
    OBDMLPClassifier,
    PruningPathDisplay,
    PruningSearchCV,
    SaliencyDisplay,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from _common import arguments, load_dataset

IMAGES = Path(__file__).parent / "images"
# Examples that draw nothing have a word for a thumbnail.
THUMBNAILS = {"c": "C", "onnx": "ONNX", "sklearn": "scikit-learn", "adult": "tables"}
# The robots of the MONK's problems (Thrun et al., 1991) and what their codes mean.
ROBOT = {
    "head": ("round", "square", "octagon"),
    "body": ("round", "square", "octagon"),
    "smiling": ("yes", "no"),
    "holding": ("sword", "balloon", "flag"),
    "jacket": ("red", "yellow", "green", "blue"),
    "tie": ("yes", "no"),
}


def save(display, name):
    """Save the figure of a display."""
    display.figure_.savefig(IMAGES / f"{name}.png", dpi=130)
    print(f"{name}.png")


def fit_monks1(data_dir):
    """The first MONK's problem, pruned to 11 weights."""
    with np.load(Path(data_dir) / "monks1.npz") as data:
        X, y, X_test, y_test = (data[key] for key in ("X_train", "y_train", "X_test", "y_test"))
    mlp = OBDMLPClassifier(
        (3,),
        activation="tanh",
        solver="lbfgs",
        alpha=0.1,
        max_iter=1000,
        prune_fraction=0.8,
        n_rounds=20,
        random_state=3,
    )
    model = make_pipeline(OneHotEncoder(sparse_output=False), mlp).fit(X, y)
    print(f"monks1: {mlp.n_weights_} weights, test accuracy {model.score(X_test, y_test):.4f}")
    return model, X, y


def draw_monks(data_dir):
    """The network from which the rule can be read, and its saliencies."""
    model, X, y = fit_monks1(data_dir)
    names = [f"{part} = {value}" for part, values in ROBOT.items() for value in values]
    classes = ["other robot", "monk"]
    save(
        NetworkDisplay.from_estimator(model, feature_names=names, output_names=classes),
        "network_monks1",
    )
    save(SaliencyDisplay.from_estimator(model, X, y, feature_names=names), "saliency_monks1")


def draw_usps(data_dir):
    """Objective along the path and ranked saliencies on handwritten digits."""
    X, X_test, y, y_test = load_dataset("usps", data_dir).split()
    mlp = OBDMLPClassifier(
        (30,), solver="lbfgs", alpha=1, max_iter=300, prune_fraction=0.95, n_rounds=15,
        random_state=0,
    )  # fmt: skip
    mlp.fit(X, y, X_val=X_test, y_val=y_test)
    print(f"usps: {mlp.n_weights_} weights, test accuracy {mlp.score(X_test, y_test):.4f}")
    save(PruningPathDisplay.from_estimator(mlp, kind="objective"), "path_usps")
    save(SaliencyDisplay.from_estimator(mlp, X, y, kind="ranked"), "saliency_usps")


def draw_thumbnails(data_dir):
    """A network, and what it becomes or reads."""
    for name, word in THUMBNAILS.items():
        fig, ax = plt.subplots(figsize=(4, 2.8))
        ax.axis("off")
        columns = [(0, y) for y in (0, 1, 2)], [(1, y) for y in (0.5, 1.5)], [(2, 1)]
        for left, right in itertools.pairwise(columns):
            for (x0, y0), (x1, y1) in [(start, end) for start in left for end in right]:
                alive = abs(y0 - y1) <= 0.5
                ax.plot(
                    (x0, x1),
                    (y0, y1),
                    color="C0" if alive else "0.8",
                    lw=3 if alive else 1,
                    zorder=0,
                )
        ax.scatter(*zip(*[node for column in columns for node in column], strict=True), s=300)
        ax.set(xlim=(-0.4, 2.4), ylim=(-1.6, 2.3))
        ax.text(1, -1.1, word, ha="center", va="center", fontsize=30, color="0.2")
        fig.savefig(IMAGES.parent / "_static" / f"thumb_{name}.png", dpi=100)
        plt.close(fig)
        print(f"thumb_{name}.png")


def draw_spambase(data_dir):
    """A search, the importances of named inputs, and the network it chose."""
    dataset = load_dataset("spambase", data_dir)
    names = [name.removeprefix("word_freq_").replace("char_freq_", "") for name in
             dataset.feature_names]  # fmt: skip
    mlp = OBDMLPClassifier((10,), solver="lbfgs", alpha=1, max_iter=500, random_state=0)
    levels = [0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98]
    search = PruningSearchCV(
        make_pipeline(StandardScaler(), mlp),
        prune_fractions=levels,
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    )
    search.fit(dataset.X, dataset.y)
    save(PruningPathDisplay.from_search(search), "path_spambase")
    save(
        SaliencyDisplay.from_estimator(
            search, dataset.X, dataset.y, kind="importance", feature_names=names
        ),
        "importance_spambase",
    )
    save(
        NetworkDisplay.from_estimator(search, feature_names=names, output_names=["mail", "spam"]),
        "network_spambase",
    )


def draw_mnist(data_dir):
    """The pixels that are left of 784, level by level."""
    X, X_test, y, y_test = load_dataset("mnist", data_dir).split()
    rows = np.random.default_rng(0).choice(len(X), 10_000, replace=False)
    mlp = OBDMLPClassifier(
        (100,), solver="lbfgs", alpha=10, max_iter=60, retrain_max_iter=30, random_state=0
    )
    selector = OBDFeatureSelector(mlp, n_features_to_select=25)
    selector.fit(X[rows] / 255, y[rows], X_val=X_test / 255, y_val=y_test)
    save(FeaturePathDisplay.from_estimator(selector, image_shape=(28, 28)), "features_mnist")


if __name__ == "__main__":
    data_dir = arguments(__doc__).parse_args().data
    warnings.simplefilter("ignore", ConvergenceWarning)
    IMAGES.mkdir(exist_ok=True)
    for draw in (draw_thumbnails, draw_monks, draw_usps, draw_spambase, draw_mnist):
        draw(data_dir)
