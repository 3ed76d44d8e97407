"""What pruning promises: exact levels, nested masks, a record of every round."""

import pickle

import numpy as np
import pandas as pd
import pytest
from models import ESTIMATORS, SOLVERS, assert_deleted_are_zero, digest, make
from numpy.testing import assert_allclose, assert_array_equal

from skobd import OBDMLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class TestPruning:
    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("criterion", ["obd", "magnitude", "random"])
    def test_exactly_the_promised_number(self, kind, solver, criterion, data):
        X, y = data[kind]
        n_total = X.shape[1] * 6 + 6 * 4 + 4 * (3 if kind == "classifier" else 1)
        model = make(kind, solver=solver, criterion=criterion).fit(X, y)
        n_left = round(0.2 * n_total)
        assert model.n_weights_ == n_left
        assert model.sparsity_ == pytest.approx(1 - n_left / n_total)
        assert sum(mask.sum() for mask in model.coef_masks_) == n_left
        assert_deleted_are_zero(model)

    @pytest.mark.filterwarnings("ignore:Pruning has left")
    @pytest.mark.parametrize("prune_fraction", [0.01, 0.333, 0.5, 0.999])
    def test_levels(self, prune_fraction, iris):
        model = make("classifier", prune_fraction=prune_fraction, retrain_max_iter=1).fit(*iris)
        assert model.n_weights_ == round((1 - prune_fraction) * 60)

    def test_history_is_a_table(self, iris):
        model = make("classifier").fit(*iris)
        table = pd.DataFrame(model.pruning_history_)
        assert list(table) == [
            "round",
            "n_weights",
            "sparsity",
            "loss_before",
            "predicted_increase",
            "loss_after_deletion",
            "loss_after_retraining",
            "n_iter",
        ]
        expected = [round(60 * 0.2 ** (r / 3)) for r in (1, 2, 3)]
        assert_array_equal(table["n_weights"], expected)
        assert_allclose(table["sparsity"], 1 - np.array(expected) / 60)
        assert_array_equal(table["round"], [1, 2, 3])
        assert model.n_iter_ == 10 + table["n_iter"].sum() == len(model.loss_curve_)
        assert_allclose(table["loss_before"][1:], table["loss_after_retraining"][:-1])
        assert (table["predicted_increase"] >= 0).all()

    @pytest.mark.filterwarnings("ignore:Pruning has left")
    def test_loss_is_as_the_solver_saw_it(self, iris):
        """That of minibatches is a mean over the epoch; the history has the objective itself."""
        model = make("classifier").fit(*iris)
        assert model.loss_ == model.loss_curve_[-1]
        assert model.loss_ != model.pruning_history_["loss_after_retraining"][-1]
        model.set_params(retrain_max_iter=0).prune(*iris, prune_fraction=0.95)
        assert model.loss_ == model.pruning_history_["loss_after_retraining"][-1]

    def test_history_with_validation_data(self, iris):
        X, y = iris
        model = make("classifier").fit(X, y, X_val=X[::3], y_val=y[::3])
        table = pd.DataFrame(model.pruning_history_)
        assert list(table)[-2:] == ["validation_loss", "validation_score"]
        assert table["validation_score"].iloc[-1] == model.score(X[::3], y[::3])

    def test_masks_are_nested(self, digits):
        """The path to a lower level goes through the same networks."""
        params = {"max_iter": 5, "hidden_layer_sizes": (8,), "criterion": "obd"}
        first = make("classifier", prune_fraction=0.5, n_rounds=1, **params).fit(*digits)
        masks = [first.coef_masks_]
        for level in (0.7, 0.9):
            first.prune(*digits, prune_fraction=level, n_rounds=2)
            masks.append(first.coef_masks_)
            for before, after in zip(masks[-2], masks[-1], strict=True):
                assert not (after & ~before).any()
            assert_deleted_are_zero(first)
            assert first.n_weights_ == round((1 - level) * (64 * 8 + 8 * 3))

    def test_retraining_is_judged_afresh(self, iris):
        """After a deletion the loss of the dense network is out of reach."""
        model = OBDMLPClassifier((20,), prune_fraction=0.95, random_state=0, max_iter=400)
        model.set_params(n_iter_no_change=3, tol=1e-3, learning_rate_init=0.01).fit(*iris)
        assert (model.pruning_history_["n_iter"] > 4).all()

    def test_retrain_max_iter(self, iris):
        model = make("classifier", retrain_max_iter=2).fit(*iris)
        assert_array_equal(model.pruning_history_["n_iter"], [2, 2, 2])
        frozen = make("classifier", retrain_max_iter=0).fit(*iris)
        dense = make("classifier", prune_fraction=0).fit(*iris)
        assert_array_equal(frozen.pruning_history_["n_iter"], [0, 0, 0])
        for coef, start in zip(frozen.coefs_, dense.coefs_, strict=True):
            kept = coef != 0
            assert_array_equal(coef[kept], start[kept])
        assert frozen.loss_curve_ == dense.loss_curve_

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_warm_start_keeps_deleted_weights_deleted(self, solver, iris):
        model = make("classifier", warm_start=True, solver=solver).fit(*iris)
        masks = [mask.copy() for mask in model.coef_masks_]
        model.fit(*iris)
        for mask, before in zip(model.coef_masks_, masks, strict=True):
            assert_array_equal(mask, before)
        assert_deleted_are_zero(model)
        model.set_params(prune_fraction=0.9).fit(*iris)
        assert model.n_weights_ == 6
        for mask, before in zip(model.coef_masks_, masks, strict=True):
            assert not (mask & ~before).any()

    def test_prune_by_the_constructors_level(self, iris):
        model = make("classifier", prune_fraction=0).fit(*iris)
        model.set_params(prune_fraction=0.6, n_rounds=2).prune(*iris)
        assert model.sparsity_ == pytest.approx(0.6)
        assert_array_equal(model.pruning_history_["round"], [1, 2])
        model.prune(*iris, prune_fraction=0.8, n_rounds=1)
        assert_array_equal(model.pruning_history_["round"], [1, 2, 3])

    def test_prune_uses_sample_weight(self, iris):
        X, y = iris
        kept = y != 2
        dense = make("classifier", solver="lbfgs", alpha=1.0, prune_fraction=0).fit(X, y)
        weighted, subset = (pickle.loads(pickle.dumps(dense)) for _ in range(2))
        weighted.prune(X, y, prune_fraction=0.7, sample_weight=kept.astype(float))
        subset.prune(X[kept], y[kept], prune_fraction=0.7)
        plain = pickle.loads(pickle.dumps(dense)).prune(X, y, prune_fraction=0.7)
        assert digest(weighted) == digest(subset) != digest(plain)

    @pytest.mark.parametrize("criterion", ["obd", "magnitude"])
    def test_informed_criteria_beat_random(self, criterion, digits):
        X, y = digits
        params = {"solver": "lbfgs", "alpha": 1.0, "hidden_layer_sizes": (10,), "max_iter": 200}
        params |= {"prune_fraction": 0.9, "n_rounds": 1, "retrain_max_iter": 0}
        losses = {
            name: make("classifier", criterion=name, **params)
            .fit(X, y)
            .pruning_history_["loss_after_deletion"][0]
            for name in (criterion, "random")
        }
        assert losses[criterion] < losses["random"]

    def test_rescaled_feature_is_kept_by_obd_but_not_by_magnitude(self, binary):
        """The example of the property that makes OBD right for tabular data."""
        X, y = binary
        kept = {}
        for criterion in ("obd", "magnitude"):
            model = make(
                "classifier",
                hidden_layer_sizes=(5,),
                solver="lbfgs",
                activation="tanh",
                alpha=0,
                max_iter=30,
                prune_fraction=0,
                retrain_max_iter=0,
                criterion=criterion,
            ).fit(X, y)
            best = int(np.argmax(model.feature_importances_))
            rescaled = X.copy()
            rescaled[:, best] *= 1e4
            first, *others = model.coefs_
            first = first.copy()
            first[best] /= 1e4
            model.coefs_ = [first, *others]
            model.prune(rescaled, y, prune_fraction=0.5, n_rounds=1)
            kept[criterion] = model.coef_masks_[0][best].sum()
        assert kept["obd"] > kept["magnitude"] == 0

    @pytest.mark.parametrize("verbose", [1, True])
    def test_verbose_prints_a_line_for_each_round(self, verbose, iris, capsys):
        make("classifier", verbose=verbose).fit(*iris)
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= 79
        lines = text.replace("\n" + 10 * " ", " ").splitlines()
        assert [line[:8] for line in lines] == [f"round  {r}" for r in range(4)]

    def test_verbose_without_pruning_prints_epochs(self, iris, capsys):
        model = make("classifier", verbose=True, prune_fraction=0).fit(*iris)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == f"Iteration 1, loss = {model.loss_curve_[0]:.8f}"
        assert len(lines) == model.n_iter_
        model.partial_fit(*iris)
        assert "Iteration 1" in capsys.readouterr().out

    def test_very_verbose_prints_both(self, iris, capsys):
        make("classifier", verbose=2).fit(*iris)
        out = capsys.readouterr().out
        assert out.count("Iteration") == 40
        assert out.count("round ") == 4

    def test_quiet(self, iris, capsys):
        make("classifier").fit(*iris)
        assert capsys.readouterr().out == ""
