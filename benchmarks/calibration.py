"""Log-loss on adult before and after temperature scaling: does a pruned network need it?

    python benchmarks/calibration.py --data DIR                   # 1 minute on one core
    python benchmarks/calibration.py --data DIR --rows 48842      # all rows, 8 minutes

Default settings but for the level, an eighth of the weights ("auto" prunes nothing here); three
splits. The temperature is that of least log-loss on a third of the training
rows, which the network has not seen.
"""

import warnings

import numpy as np
from _common import arguments, print_environment, print_table
from scipy.optimize import minimize_scalar
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tabular import load_fold

from skobd import OBDMLPClassifier


def scaled_loss(temperature: float, model, X: np.ndarray, y: np.ndarray) -> float:
    """Log-loss of a binary classifier whose logits are divided by a temperature."""
    p = np.clip(model.predict_proba(X)[:, 1].astype(float), 1e-12, 1 - 1e-12)
    logits = np.log(p / (1 - p)) / temperature
    return log_loss(y, 1 / (1 + np.exp(-logits)))


def main() -> None:
    """Print the mean losses."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="of which a quarter is for tests")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print_environment()
    warnings.simplefilter("ignore", ConvergenceWarning)
    losses: dict[str, list[tuple[float, ...]]] = {}
    for seed in options.seeds:
        fold = load_fold("adult", seed, options.data, options.rows)
        X, X_held, y, y_held = train_test_split(
            fold.X_train, fold.y_train, test_size=1 / 3, stratify=fold.y_train, random_state=seed
        )
        for model in (
            MLPClassifier(random_state=seed),
            OBDMLPClassifier(prune_fraction=0.875, random_state=seed),
        ):
            model.fit(X, y)
            best = minimize_scalar(
                scaled_loss, args=(model, X_held, y_held), bounds=(0.1, 10), method="bounded"
            ).x
            losses.setdefault(type(model).__name__, []).append(
                (
                    scaled_loss(1.0, model, fold.X_test, fold.y_test),
                    scaled_loss(best, model, fold.X_test, fold.y_test),
                    float(best),
                )
            )
    print_table(
        [(name, *map(float, np.mean(rows, axis=0))) for name, rows in losses.items()],
        ["", "log-loss", "after scaling", "temperature"],
    )


if __name__ == "__main__":
    main()
