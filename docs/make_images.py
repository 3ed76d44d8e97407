"""Draw the pictures of the site: ``python docs/make_images.py``, in a minute.

The data of the user guide's pictures are made here or shipped with scikit-learn; those of the
benchmarks are read from the tables in ``benchmarks/notebook``. Each picture comes with a sentence
that states what it shows; `tests/test_images.py` looks for the sentence on the pages that show the
picture.
"""

import itertools
import re
from pathlib import Path
from statistics import geometric_mean

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import StratifiedKFold, train_test_split
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

DOCS = Path(__file__).parent
NOTEBOOK = DOCS.parent / "benchmarks/notebook"
# Examples that draw nothing have a word for a thumbnail.
THUMBNAILS = {"c": "C", "onnx": "ONNX", "sklearn": "scikit-learn", "adult": "tables"}
# The robots of the MONK's problems (Thrun et al., 1991).
ROBOT = {
    "head": ("round", "square", "octagon"),
    "body": ("round", "square", "octagon"),
    "smiling": ("yes", "no"),
    "holding": ("sword", "balloon", "flag"),
    "jacket": ("red", "yellow", "green", "blue"),
    "tie": ("yes", "no"),
}


def picture_monks():
    """Yield the network from which the first MONK's rule can be read, and its saliencies."""
    robots = np.array(list(itertools.product(*(range(len(values)) for values in ROBOT.values()))))
    is_monk = (robots[:, 0] == robots[:, 1]) | (robots[:, 4] == 0)
    seen = np.random.default_rng(1).choice(len(robots), 124, replace=False)
    mlp = OBDMLPClassifier(
        hidden_layer_sizes=(3,),
        activation="tanh",
        solver="lbfgs",
        alpha=0.1,
        max_iter=1000,
        criterion="unit_obs",
        prune_fraction=0.8,
        n_rounds=20,
        n_regrow=0,
        retrain_max_iter=100,
        retrain_alpha=0.1,
        random_state=37,  # of many that are right one with positive weights only: easy to read
    )
    model = make_pipeline(OneHotEncoder(sparse_output=False), mlp)
    model.fit(robots[seen], is_monk[seen])
    n_right = (model.predict(robots) == is_monk).sum()
    names = [f"{part} = {value}" for part, values in ROBOT.items() for value in values]
    classes = ["other robot", "monk"]
    yield (
        "network_monks1",
        f"Trained on {len(seen)} robots and pruned to {mlp.n_weights_} of {mlp.n_weights_total_} "
        f"weights, it classifies {n_right} of all {len(robots)} robots correctly.",
        lambda: NetworkDisplay.from_estimator(model, feature_names=names, output_names=classes),
    )
    yield (
        "saliency_monks1",
        f"Saliencies of the {mlp.n_weights_} weights that are left.",
        lambda: SaliencyDisplay.from_estimator(
            model, robots[seen], is_monk[seen], feature_names=names
        ),
    )


def picture_digits():
    """Yield the path of one fit on handwritten digits, its saliencies, and the pixels it needs."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
    mlp = OBDMLPClassifier(
        hidden_layer_sizes=(30,),
        solver="lbfgs",
        alpha=1,
        max_iter=1000,
        prune_fraction=0.95,
        n_rounds=15,
        random_state=0,
    )
    mlp.fit(X, y, X_val=X_test, y_val=y_test)
    yield (
        "path_digits",
        f"{len(mlp.pruning_history_['round'])} rounds leave {mlp.n_weights_} of "
        f"{mlp.n_weights_total_} weights.",
        lambda: PruningPathDisplay.from_estimator(mlp, kind="objective"),
    )
    yield (
        "saliency_digits",
        f"The {mlp.coef_masks_[0].sum() + mlp.coef_masks_[1].sum()} weights that are left, "
        "layer by layer.",
        lambda: SaliencyDisplay.from_estimator(mlp, X, y, kind="ranked"),
    )
    selector = OBDFeatureSelector(
        OBDMLPClassifier(
            hidden_layer_sizes=(100,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
        ),
        n_features_to_select=10,
    )
    selector.fit(X, y, X_val=X_test, y_val=y_test)
    yield (
        "features_digits",
        f"From {selector.path_.n_features[0]} pixels to {selector.path_.n_features[-1]}.",
        lambda: FeaturePathDisplay.from_estimator(selector, image_shape=(8, 8)),
    )


def picture_tumours():
    """Yield a search on measurements of tumours, the network it chose, and what that looks at."""
    data = load_breast_cancer(as_frame=True)
    mlp = OBDMLPClassifier(
        hidden_layer_sizes=(10,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    )
    search = PruningSearchCV(
        make_pipeline(StandardScaler(), mlp),
        prune_fractions=[0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98],
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
    ).fit(data.data, data.target)
    chosen = search.best_estimator_[-1]
    yield (
        "path_tumours",
        f"The star is the network chosen: {chosen.n_weights_} of {chosen.n_weights_total_} "
        "weights.",
        lambda: PruningPathDisplay.from_search(search),
    )
    yield (
        "network_tumours",
        f"{chosen.n_weights_} weights and {len(chosen.used_features_)} of "
        f"{chosen.n_features_in_} measurements are left.",
        lambda: NetworkDisplay.from_estimator(search, output_names=data.target_names),
    )
    yield (
        "importance_tumours",
        f"The {len(chosen.used_features_)} measurements that the network needs.",
        lambda: SaliencyDisplay.from_estimator(search, data.data, data.target, kind="importance"),
    )


def read_table(page, after):
    """Read the first table after a text of a page of the notebook, as lists of strings."""
    text = (NOTEBOOK / f"{page}.md").read_text(encoding="utf-8").partition(after)[2]
    lines = re.search(r"(^\|.*\n)+", text, re.MULTILINE).group().splitlines()
    rows = [[cell.strip(" `*") for cell in line.strip("|").split("|")] for line in lines]
    return rows[0], rows[2:]


def draw_bars(names, values, label):
    """Draw a horizontal bar for each name, longest names included."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 0.8 + 0.34 * len(names)), layout="constrained")
    bars = ax.barh(names, values, color="#0072b2", height=0.7)
    ax.bar_label(bars, [f"{value:g}" for value in values], padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel(label)
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def draw_paths(levels, change):
    """Draw the change of accuracy of each data set, and their mean and median."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
    places = np.arange(len(levels))
    ax.plot(places, change.T, color="0.75", lw=0.8)
    ax.plot(places, change.mean(axis=0), "o-", color="#0072b2", lw=2, label="mean")
    ax.plot(places, np.median(change, axis=0), "s--", color="#d55e00", lw=2, label="median")
    ax.plot([], color="0.75", lw=0.8, label="one data set")
    ax.set_xticks(places, levels)
    ax.set(ylim=(-12, 7), xlabel="weights deleted", ylabel="change of accuracy in points")
    ax.axhline(0, color="0.3", lw=0.8)
    ax.legend(frameon=False, loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    return fig


def picture_benchmarks():
    """Yield a picture for each page of benchmarks, from the tables of the notebook."""
    _, rows = read_table("accuracy", "Test accuracy with Adam, set by set:")
    accuracies = 100 * np.array([row[1:] for row in rows], dtype=float)
    change = accuracies - accuracies[:, :1]
    at_90, at_98 = change[:, 3], change[:, 5]
    yield (
        "accuracy",
        f"At 90 % deleted {(at_90 >= -0.5).sum()} of {len(rows)} data sets lose at most half a "
        f"point or gain (median {np.median(at_90):+.1f}); at 98 % the median changes by "
        f"{np.median(at_98):+.1f} points and the worst by {at_98.min():+.0f}.",
        lambda: draw_paths(["dense", "50 %", "75 %", "90 %", "95 %", "98 %"], change),
    )
    _, rows = read_table("training", "## Adam")
    numpy_step, compiled = rows[-1][2:4]
    names = [f"{row[0]}, {row[1]}" for row in rows[:-1]]
    yield (
        "training",
        f"Training is {float(numpy_step):.1f} times as fast as scikit-learn's with NumPy alone, "
        f"and {float(compiled):.1f} times with numba (geometric mean).",
        lambda: draw_bars(
            names,
            [float(row[3]) for row in rows[:-1]],
            "times as fast as MLPClassifier, with numba, two cores",
        ),
    )
    _, speeds = read_table("deployment", "## Prediction")
    many = {row[0]: float(row[5]) for row in speeds[:4]}
    yield (
        "prediction",
        f"100 000 predictions are {many['dense']:g} times as fast as scikit-learn's without "
        f"pruning, and {many['pruned by units']:g} times after pruning by units.",
        lambda: draw_bars(list(many), list(many.values()), "times as fast as MLPClassifier"),
    )
    _, searches = read_table("search", "two seeds, CPU seconds:")
    faster = {}
    for row in searches[:-1]:
        faster.setdefault(row[0], []).append(float(row[2]) / float(row[3]))
    means = {name: geometric_mean(ratios) for name, ratios in faster.items()}
    yield (
        "search",
        f"A search is {geometric_mean(means.values()):.1f} times as fast as a grid search over the "
        "same ten levels (geometric mean).",
        lambda: draw_bars(
            list(means),
            [round(mean, 1) for mean in means.values()],
            "times as fast as GridSearchCV",
        ),
    )
    _, selectors = read_table("features", "## Beside other selectors")
    means = {row[0]: 100 * float(row[7].split(" / ")[0]) for row in selectors[:-1]}
    ours, *others = sorted(means.values(), reverse=True)
    yield (
        "features",
        f"Extremely randomised trees on the inputs that skobd selects are right in {ours:.1f} % of "
        f"cases, on those of the next best selector in {others[1]:.1f} %.",
        lambda: draw_bars(
            [name.replace("`", "") for name in means],
            [round(value, 1) for value in means.values()],
            "accuracy of trees on the selected inputs, in percent",
        ),
    )


PICTURES = (picture_monks, picture_digits, picture_tumours, picture_benchmarks)


def draw_thumbnail(name, word):
    """Draw a network, and below it what it becomes or reads."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(4, 2.8))
    ax.axis("off")
    columns = [(0, y) for y in (0, 1, 2)], [(1, y) for y in (0.5, 1.5)], [(2, 1)]
    for left, right in itertools.pairwise(columns):
        for (x0, y0), (x1, y1) in [(start, end) for start in left for end in right]:
            alive = abs(y0 - y1) <= 0.5
            color, width = ("C0", 3) if alive else ("0.8", 1)
            ax.plot((x0, x1), (y0, y1), color=color, lw=width, zorder=0)
    ax.scatter(*zip(*[node for column in columns for node in column], strict=True), s=300)
    ax.set(xlim=(-0.4, 2.4), ylim=(-1.6, 2.3))
    ax.text(1, -1.1, word, ha="center", va="center", fontsize=30, color="0.2")
    fig.savefig(DOCS / "_static" / f"thumb_{name}.png", dpi=100)
    plt.close(fig)


if __name__ == "__main__":
    import matplotlib as mpl

    mpl.use("Agg")
    for name, word in THUMBNAILS.items():
        draw_thumbnail(name, word)
    for name, sentence, draw in itertools.chain(*(pictures() for pictures in PICTURES)):
        drawn = draw()
        getattr(drawn, "figure_", drawn).savefig(DOCS / "images" / f"{name}.png", dpi=130)
        print(f"{name}.png: {sentence}")
