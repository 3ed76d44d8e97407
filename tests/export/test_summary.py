"""What a fitted estimator says about itself: which inputs it uses, what pruning achieved."""

import pickle

import numpy as np
import pandas as pd
import pytest
from exports import make_classifier
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel

from skobd import OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestUsedFeatures:
    @pytest.fixture
    def frame(self, iris):
        return pd.DataFrame(iris[0], columns=["width", "height", "depth", "age"])

    def test_unused_columns_may_hold_anything_finite(self, frame, iris):
        y = iris[1]
        model = make_classifier(frame, y, 0.3, granularity="feature")
        used = model.used_features_
        assert 0 < len(used) < 4
        assert_array_equal(model.get_used_feature_names(), frame.columns[used])
        assert_array_equal(np.flatnonzero(model.feature_importances_), used)
        unused = frame.columns.difference(model.get_used_feature_names())
        changed = frame.assign(**dict.fromkeys(unused, 1e30))
        for estimator in (model, model.compact()):
            assert_array_equal(estimator.predict_proba(changed), estimator.predict_proba(frame))
            assert_array_equal(estimator.used_features_, used)
        wide = sparse.csr_array(changed.to_numpy())
        plain = make_classifier(frame.to_numpy(), y, 0.3, granularity="feature")
        assert_allclose(plain.predict_proba(wide), model.predict_proba(frame), atol=1e-12)
        assert_array_equal(plain.get_used_feature_names(), [f"x{index}" for index in used])
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame.rename(columns={"age": "years"}))

    def test_selects_features(self, iris):
        X, y = iris
        model = OBDMLPClassifier(
            (8,), granularity="feature", prune_fraction=0.5, max_iter=50, random_state=0
        )
        selector = SelectFromModel(model, threshold=1e-12).fit(X, y)
        assert_array_equal(
            np.flatnonzero(selector.get_support()), selector.estimator_.used_features_
        )
        assert (
            RFE(model.set_params(prune_fraction=0), n_features_to_select=2).fit(X, y).n_features_
            == 2
        )

    def test_constant_network_uses_none(self, iris):
        model = make_classifier(*iris, 0.999)
        # Three weights make a way from an input to an output.
        assert model.n_weights_ < 3
        assert model.used_features_.size == 0
        p = model.predict_proba(iris[0])
        assert_array_equal(p, np.broadcast_to(p[0], p.shape))
        assert "4 of 4" in model.summary()


class TestSummary:
    def test_says_what_pruning_achieved(self, iris):
        frame = pd.DataFrame(iris[0], columns=["width", "height", "depth", "age"])
        model = make_classifier(frame, iris[1], 0.3, granularity="feature")
        lines = dict(line.split("  ", 1) for line in model.summary().splitlines() if "  " in line)
        lines = {name: text.strip() for name, text in lines.items()}
        n_used = len(model.used_features_)
        assert lines["layers"].startswith(f"4-8-6-3 -> {n_used}-8-6-3")
        assert lines["weights"] == f"98 -> {model.n_weights_} ({model.sparsity_:.1%} deleted)"
        n_bytes = len(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
        assert lines["bytes on disk"].startswith(f"{n_bytes} pickled (")
        # 98 weights and 17 intercepts in double precision
        assert lines["bytes on disk"].endswith("alone: 920)")
        assert lines["multiply-adds per row"] == f"98 -> {model.n_weights_}"
        unused = [name for name in frame if name not in model.get_used_feature_names()]
        assert lines["inputs not needed"] == f"{4 - n_used} of 4: {', '.join(unused)}"

    def test_many_unused_inputs_are_not_all_listed(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(100, 60))
        model = OBDMLPRegressor(
            hidden_layer_sizes=(3,), prune_fraction=0.8, granularity="feature", max_iter=5
        ).fit(X, X[:, 0])
        n_unused = 60 - len(model.used_features_)
        assert n_unused > 20
        assert f"and {n_unused - 20} more" in model.summary()

    def test_unfitted(self):
        with pytest.raises(NotFittedError):
            OBDMLPRegressor().summary()
