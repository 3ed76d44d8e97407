"""What a type checker tells a user's script about the public names."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import skobd

pytestmark = pytest.mark.slow

pytest.importorskip("mypy")


# What a script does, and how the type begins that mypy says it gets.
USES = {
    "clf.fit(X, y)": "OBDMLPClassifier",
    "clf.fit(X, y, sample_weight=y, X_val=X, y_val=y)": "OBDMLPClassifier",
    "clf.partial_fit(X, y, classes=[0, 1])": "OBDMLPClassifier",
    "clf.prune(X, y, prune_fraction=0.9)": "OBDMLPClassifier",
    "clf.compact()": "OBDMLPClassifier",
    "OBDMLPClassifier.from_sklearn(mlp)": "OBDMLPClassifier",
    "clf.predict(X)": "ndarray",
    "clf.predict_proba(X)": "ndarray",
    "clf.predict_log_proba(X)": "ndarray",
    "clf.score(X, y)": "float",
    "clf.coefs_[0]": "ndarray",
    "clf.n_weights_": "int",
    "clf.n_weights_total_": "int",
    "clf.sparsity_": "float",
    "clf.used_features_": "ndarray",
    "clf.pruning_history_": "dict[str, ",
    "clf.feature_importances_": "ndarray",
    "clf.get_used_feature_names(['a'])": "ndarray",
    "clf.to_c()": "CCode",
    "export_text(clf, feature_names=['a'], max_weights=None)": "str",
    "clf.summary()": "PruningSummary",
    "clf.pruning_path(X, y)": "PruningPath",
    "reg.fit(X, y).predict(X)": "ndarray",
    "reg.partial_fit(X, y)": "OBDMLPRegressor",
    "search.fit(X, y, groups=y)": "PruningSearchCV",
    "search.predict(X)": "ndarray",
    "search.predict_proba(X)": "ndarray",
    "search.score(X, y)": "float",
    "search.cv_results_": "dict[str, ",
    "PruningPathDisplay.from_search(search)": "PruningPathDisplay",
    "PruningPathDisplay.from_path(clf.pruning_path(X, y))": "PruningPathDisplay",
    "PruningPathDisplay.from_estimator(clf).plot()": "PruningPathDisplay",
    "SaliencyDisplay.from_estimator(clf, X, y, kind='ranked')": "SaliencyDisplay",
    "NetworkDisplay.from_estimator(clf, feature_names=['a']).plot()": "NetworkDisplay",
    "FeaturePathDisplay.from_estimator(selector)": "FeaturePathDisplay",
    "selector.fit(X, y)": "OBDFeatureSelector",
    "selector.predict(X)": "ndarray",
    "register_onnx_converters": "def ()",
}
PREAMBLE = """from typing import Any
import numpy as np
from skobd import *

X, y = np.zeros((4, 1)), np.array([0, 1, 0, 1])
mlp: Any = None
clf = OBDMLPClassifier((5,), solver="lbfgs", prune_fraction=0.5, retrain_alpha="auto")
reg = OBDMLPRegressor(hidden_layer_sizes=[5, 4], prune_tol=0.1)
search = PruningSearchCV(clf, prune_fractions=[0, 0.5], selection="best", cv=3)
selector = OBDFeatureSelector(clf, n_features_to_select=1)
"""
MISTAKES = [
    "OBDMLPClassifier(prune_fraction=[0.5])",
    "OBDMLPRegressor(class_weight='balanced')",
    "clf.predict()",
    "clf.fit(X, y, weight=y)",
    "PruningSearchCV(clf, n_jobs='all')",
    "PruningPathDisplay.from_search(1)",
]


def test_a_strict_script_finds_the_types(tmp_path):
    """Without ``py.typed``, or with an import that mypy cannot follow, each would be Any."""
    shown = [*USES, *skobd.__all__]
    script = tmp_path / "script.py"
    lines = [f"reveal_type({use})" for use in shown] + MISTAKES
    script.write_text(PREAMBLE + "\n".join(lines))
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}", "--ignore-missing-imports"]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--follow-imports=silent", str(script)],
        capture_output=True,
        text=True,
        env={"MYPYPATH": str(Path(skobd.__file__).parents[1])},
        cwd=tmp_path,
    )
    printed = checked.stdout + checked.stderr
    types = re.findall(r'Revealed type is "(.*)"', printed)
    assert len(types) == len(shown), printed
    for (use, expected), found in zip(USES.items(), types, strict=False):
        assert re.search(rf"(^|\.){re.escape(expected)}", found), (use, found)
    assert "Any" not in types[len(USES) :]
    first = len(PREAMBLE.splitlines()) + len(shown) + 1
    errors = [int(line) for line in re.findall(r"script.py:(\d+): error", printed)]
    assert errors == list(range(first, first + len(MISTAKES))), printed
