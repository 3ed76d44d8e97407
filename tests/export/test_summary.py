"""What a fitted estimator says about itself: which inputs it uses, what pruning achieved."""

import pickle
import re
from dataclasses import FrozenInstanceError, asdict
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from exports import make_classifier
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skobd
from skobd import OBDMLPClassifier, OBDMLPRegressor, PruningSummary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Also networks that were asked to be nothing.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]


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
        summary = model.summary()
        assert (summary.n_inputs_before, summary.n_inputs_after) == (4, 0)
        assert summary.unused_features == ("x0", "x1", "x2", "x3")

    def test_names_after_steps_that_put_out_plain_arrays(self, frame, iris):
        mlp = OBDMLPClassifier((8,), prune_fraction=0.9, max_iter=20, random_state=0)
        pipe = make_pipeline(SimpleImputer(), StandardScaler(), mlp).fit(frame, iris[1])
        used = mlp.used_features_
        assert 0 < len(used) < 4
        assert_array_equal(mlp.get_used_feature_names(), [f"x{index}" for index in used])
        names = mlp.get_used_feature_names(pipe[:-1].get_feature_names_out())
        assert_array_equal(names, frame.columns[used])
        assert_array_equal(mlp.get_used_feature_names(list(frame)), names)
        for wrong in (["one"], "width", [["width", "height", "depth", "age"]]):
            with pytest.raises(ValueError, match="should have length equal to the number of feat"):
                mlp.get_used_feature_names(wrong)

    def test_other_names_than_in_fit_are_refused(self, frame, iris):
        model = make_classifier(frame, iris[1], 0.3, granularity="feature")
        assert_array_equal(
            model.get_used_feature_names(frame.columns), model.get_used_feature_names()
        )
        with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
            model.get_used_feature_names(["a", "b", "c", "d"])


class TestSummary:
    def test_says_what_pruning_achieved(self, iris):
        frame = pd.DataFrame(iris[0], columns=["width", "height", "depth", "age"])
        model = make_classifier(frame, iris[1], 0.3, granularity="feature")
        summary = model.summary()
        n_used = len(model.used_features_)
        assert summary.layers_before == (4, 8, 6, 3)
        assert summary.layers_after == (n_used, 8, 6, 3)
        assert (summary.n_weights_before, model.n_weights_total_) == (98, 98)
        assert summary.n_weights_after == model.n_weights_
        assert summary.fraction_left == pytest.approx(1 - model.sparsity_)
        assert (summary.n_inputs_before, summary.n_inputs_after) == (4, n_used)
        # A byte for each of 98 weights, six for each of 17 units, and one for each layer.
        assert summary.n_bytes_before == 98 + 6 * 17 + 3
        # The compacted network reads as many columns as it uses, and they are listed.
        assert summary.n_bytes_after == model.to_c().constant_bytes
        assert summary.n_multiply_adds_before == 98
        assert summary.n_multiply_adds_after == model.n_weights_
        unused = [name for name in frame if name not in model.get_used_feature_names()]
        assert summary.unused_features == tuple(unused)
        lines = str(summary).splitlines()
        assert lines[0].split() == ["OBDMLPClassifier", "before", "after", "left"]
        assert lines[1].split() == ["layers", "4-8-6-3", f"{n_used}-8-6-3"]
        left = f"{model.n_weights_ / 98:.1%}"
        assert lines[2].split() == ["weights", "98", str(model.n_weights_), left]
        assert len({len(line) for line in lines[2:6]}) == 1
        assert lines[-1] == f"inputs not needed: {', '.join(unused)}"
        assert repr(summary) == str(summary)

    def test_counts_what_can_be_pruned(self, iris):
        model = make_classifier(*iris, 0.5)
        assert model.n_weights_total_ == model.summary().n_weights_before == 98
        assert model.n_weights_ == model.summary().n_weights_after
        with pytest.raises(AttributeError, match="not fitted yet"):
            _ = OBDMLPClassifier().n_weights_total_

    def test_a_dense_network_has_not_grown(self, iris):
        summary = make_classifier(*iris, 0).summary()
        assert summary.n_bytes_after == summary.n_bytes_before
        assert str(summary).splitlines()[-1] == "inputs not needed: none"

    def test_is_a_table_in_notebooks(self, iris):
        frame = pd.DataFrame(iris[0], columns=["width", "height", "depth", "<age>"])
        summary = make_classifier(frame, iris[1], 0.5, granularity="feature").summary()
        table = ElementTree.fromstring(f"<div>{summary._repr_html_()}</div>")
        rows = [[cell.text or "" for cell in row] for row in table.iter("tr")]
        shown = [re.split(r"  +", line) for line in str(summary).splitlines()[1:-1]]
        assert [[cell for cell in row if cell] for row in rows[1:]] == shown
        assert rows[0] == ["OBDMLPClassifier", "before", "after", "left"]
        assert table.find("p").text == str(summary).splitlines()[-1]
        assert "<age>" in summary.unused_features

    def test_is_a_record(self, iris):
        summary = make_classifier(*iris, 0.9).summary()
        assert PruningSummary(**asdict(summary)) == summary
        assert pickle.loads(pickle.dumps(summary)) == summary
        with pytest.raises(FrozenInstanceError):
            summary.n_weights_after = 0

    def test_many_unused_inputs_are_not_all_listed(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(100, 60))
        model = OBDMLPRegressor(
            hidden_layer_sizes=(3,), prune_fraction=0.8, granularity="feature", max_iter=5
        ).fit(X, X[:, 0])
        n_unused = 60 - len(model.used_features_)
        assert n_unused > 20
        assert f"and {n_unused - 20} more" in str(model.summary())
        assert len(model.summary().unused_features) == n_unused

    def test_unfitted(self):
        with pytest.raises(NotFittedError):
            OBDMLPRegressor().summary()


class TestDiagram:
    """What notebooks show of an estimator without being asked."""

    def test_says_what_is_left(self, iris):
        model = make_classifier(*iris, 0.3, granularity="feature")
        n_used = len(model.used_features_)
        expected = f"{model.n_weights_} of 98 weights left, layers 4-8-6-3 to {n_used}-8-6-3"
        assert expected in model._repr_html_()
        assert expected in model._repr_mimebundle_()["text/html"]
        pipe = make_pipeline(StandardScaler(), model)
        assert expected in pipe._repr_html_()

    def test_before_pruning(self, iris):
        assert "weights left" not in OBDMLPClassifier()._repr_html_()
        dense = make_classifier(*iris, 0)
        assert "nothing pruned, 98 weights" in dense._repr_html_()
        assert "weights left" not in dense._repr_html_()

    @pytest.mark.parametrize(
        "name", ["OBDMLPClassifier", "OBDMLPRegressor", "PruningSearchCV", "OBDFeatureSelector"]
    )
    def test_links_to_the_page_of_the_reference(self, name):
        args = [] if name.startswith("OBDMLP") else [OBDMLPRegressor()]
        address = f"https://skobd.readthedocs.io/en/stable/api/generated/skobd.{name}.html"
        assert f'href="{address}"' in getattr(skobd, name)(*args)._repr_html_()

    def test_classes_of_others_link_nowhere(self):
        class Mine(OBDMLPClassifier):
            """Not in the reference."""

        assert Mine()._get_doc_link() == ""
