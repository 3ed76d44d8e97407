"""What rare classes gain by class weights, by thresholds and by calibration.

    python benchmarks/imbalance.py [--data DIR] [--sets churn,wilt] [--seeds N]

A pruned network is fitted to churn (14 % positive) and wilt (5 %), with and without
``class_weight="balanced"``. Printed are means over the seeds on test rows: average precision and
the F1 score of the rare class, at the threshold 0.5 and at one tuned by cross-validation; and the
log loss of the probabilities, as they are and after calibration.
"""

import warnings

import numpy as np
from _common import arguments, load_dataset, preprocessor, print_environment, print_table
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score, f1_score, log_loss
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline

from skobd import OBDMLPClassifier


def measure(dataset, class_weight, seed: int) -> list[float]:
    """Scores of one split and seed."""
    X, X_test, y, y_test = dataset.split(random_state=seed)
    rare = int(np.bincount(y).argmin())
    y, y_test = y == rare, y_test == rare
    mlp = OBDMLPClassifier(max_iter=50, class_weight=class_weight, random_state=seed)
    model = make_pipeline(preprocessor(dataset), mlp)
    p = clone(model).fit(X, y).predict_proba(X_test)[:, 1]
    tuned = TunedThresholdClassifierCV(clone(model), scoring="f1").fit(X, y)
    calibrated = CalibratedClassifierCV(clone(model), ensemble=False).fit(X, y)
    return [
        average_precision_score(y_test, p),
        f1_score(y_test, p > 0.5),
        f1_score(y_test, tuned.predict(X_test)),
        tuned.best_threshold_,
        log_loss(y_test, p),
        log_loss(y_test, calibrated.predict_proba(X_test)[:, 1]),
    ]


def main() -> None:
    """Measure and print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--sets", default="churn,wilt", help="names, separated by commas")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print_environment()
    table = []
    for name in options.sets.split(","):
        dataset = load_dataset(name, options.data)
        for class_weight in (None, "balanced"):
            scores = [measure(dataset, class_weight, seed) for seed in range(options.seeds)]
            table.append([name, str(class_weight), *np.mean(scores, axis=0)])
    heads = ["average precision", "F1", "F1 tuned", "threshold", "log loss", "calibrated"]
    print_table(table, ["data", "class_weight", *heads])


if __name__ == "__main__":
    main()
