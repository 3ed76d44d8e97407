"""Ctrl-C keeps what has been learnt."""

import io
from contextlib import redirect_stdout
from functools import partial

import numpy as np
import pytest
from models import ESTIMATORS, SOLVERS, assert_deleted_are_zero, digest, make
from sklearn.base import clone

from skobd import OBDMLPClassifier
from skobd._prune import criteria
from skobd._train.minibatch import DenseEpochs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of small networks pruned far.
    pytest.mark.filterwarnings("ignore:Pruning has left"),
]


class Interrupting(io.StringIO):
    """A standard output that is interrupted when it is told something for the n-th time."""

    def __init__(self, text, n):
        super().__init__()
        self._text, self._n_left = text, n

    def write(self, text):
        if text.startswith(self._text):
            self._n_left -= 1
            if self._n_left == 0:
                raise KeyboardInterrupt
        return super().write(text)


class TestInterrupt:
    @pytest.mark.parametrize("where", ["input_importances", "value"])
    def test_after_training(self, where, iris, monkeypatch):
        """What is only to be judged any more has been learnt."""

        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        if where == "value":
            monkeypatch.setattr("skobd._train.objective.Objective.value", interrupt)
        else:
            monkeypatch.setattr("skobd._mlp.run.input_importances", interrupt)
        model = OBDMLPClassifier((5,), max_iter=20, n_rounds=1)
        with pytest.warns(UserWarning, match="interrupted by user") as caught:
            model.fit(*iris)
        assert caught[-1].filename == __file__
        assert model.n_iter_ >= 20
        assert len(model.loss_curve_) == model.n_iter_
        assert model.predict(iris[0]).shape == iris[1].shape

    @pytest.mark.parametrize("solver", SOLVERS)
    def test_before_the_first_epoch(self, solver, iris, monkeypatch):
        """There is nothing to keep, and the estimator is as it was."""
        monkeypatch.setenv("SKOBD_ENGINE", "numpy")
        fitted = make("classifier", solver=solver, warm_start=True).fit(*iris)
        before, n_iter, loss = digest(fitted), fitted.n_iter_, fitted.loss_
        fresh = make("classifier", solver=solver)
        calls = [fresh.fit, fitted.fit, partial(fitted.prune, prune_fraction=0.9)]
        calls.append(clone(fitted).fit)
        if solver != "lbfgs":
            calls += [fitted.partial_fit, partial(fresh.partial_fit, classes=[0, 1, 2])]

        def interrupt(*args, **kwargs):
            raise KeyboardInterrupt

        for what in ("minibatch.DenseEpochs.run", "objective.Objective.value_and_gradient"):
            monkeypatch.setattr(f"skobd._train.{what}", interrupt)
        for call in calls:
            with pytest.raises(KeyboardInterrupt):
                call(*iris)
        assert (digest(fitted), fitted.n_iter_, fitted.loss_) == (before, n_iter, loss)
        assert not hasattr(fresh, "coefs_")
        assert not hasattr(fresh, "n_features_in_")

    def test_before_the_first_epoch_of_retraining(self, iris, monkeypatch):
        """A network that was pruned, but not retrained, is not kept."""
        monkeypatch.setenv("SKOBD_ENGINE", "numpy")
        dense = make("classifier", prune_fraction=0).fit(*iris)
        run, calls = DenseEpochs.run, 0

        def interrupting(*args):
            nonlocal calls
            calls += 1
            if calls == dense.max_iter + 1:
                raise KeyboardInterrupt
            return run(*args)

        monkeypatch.setattr(DenseEpochs, "run", interrupting)
        model = make("classifier")
        with pytest.warns(UserWarning, match="interrupted by user"):
            model.fit(*iris)
        assert digest(model) == digest(dense)
        assert len(model.pruning_history_["round"]) == 0

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("after", [1, 25])
    def test_keeps_a_usable_estimator(self, kind, solver, after, data):
        """Ctrl-C in dense training, or in retraining after the second round."""
        X, y = data[kind]
        model = make(kind, solver=solver, tol=0, n_iter_no_change=100, verbose=2)
        with (
            pytest.warns(UserWarning, match="Training interrupted by user"),
            redirect_stdout(Interrupting("Iteration", after)),
        ):
            model.fit(X, y)
        assert len(model.loss_curve_) == after
        assert np.isfinite(model.predict(X)).all()
        assert model.score(X, y) <= 1
        assert len(model.pruning_history_["round"]) == (0 if after == 1 else 2)
        assert_deleted_are_zero(model)
        model.set_params(verbose=0).prune(X, y, prune_fraction=0.95)
        model.fit(X, y)

    @pytest.mark.parametrize("kind", ESTIMATORS)
    @pytest.mark.parametrize("solver", SOLVERS)
    @pytest.mark.parametrize("epoch", [1, 3, 4, 7])
    def test_in_regrowth(self, kind, solver, epoch, data):
        """In an epoch of the last round of 3 + 4 x 3: the best network so far is kept."""
        X, y = data[kind]
        recipe = {"retrain_max_iter": 3, "retrain_alpha": 0.5, "n_regrow": 4}
        recipe |= {"solver": solver, "tol": 0, "verbose": 2}
        first = 10 + 3 + 3
        model = make(kind, **recipe)
        with (
            pytest.warns(UserWarning, match="Training interrupted by user") as caught,
            redirect_stdout(Interrupting("Iteration", first + epoch)),
        ):
            model.fit(X, y)
        assert caught[-1].filename == __file__
        n_total = sum(mask.size for mask in model.coef_masks_)
        assert model.n_weights_ == sum(mask.sum() for mask in model.coef_masks_)
        assert model.n_weights_ == round(0.2 * n_total)
        assert_deleted_are_zero(model)
        assert len(model.loss_curve_) == model.n_iter_ == first + epoch
        history, cycles = model.pruning_history_, model.regrowth_history_
        assert history["n_iter"].tolist() == [3, 3, epoch]
        # Begun after the first 3 epochs of the round; the last of them was interrupted.
        n_cycles = (epoch - 1) // 3
        n_whole = max(n_cycles - 1, 0)
        expected = [3] * n_whole + [epoch - 3 * n_cycles] * (n_cycles > 0)
        assert cycles["n_iter"].tolist() == expected
        with redirect_stdout(io.StringIO()):
            whole = make(kind, **recipe).fit(X, y)
            without = make(kind, **recipe | {"n_regrow": 0}).fit(X, y)
        for name, column in cycles.items():
            same = whole.regrowth_history_[name][:n_whole]
            np.testing.assert_array_equal(column[:n_whole], same, err_msg=name)
        if n_cycles:
            loss = without.pruning_history_["loss_after_retraining"][-1]
            best = min(loss, *cycles["loss_after_retraining"])
            assert history["loss_after_retraining"][-1] == best
        model.set_params(verbose=0).prune(X, y, prune_fraction=0.9)
        assert model.n_weights_ == round(0.1 * n_total)
        model.fit(X, y)

    def test_in_deletion(self, iris, monkeypatch):
        calls = 0
        curvature = criteria.diagonal_curvature

        def interrupting(*args):
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return curvature(*args)

        monkeypatch.setattr(criteria, "diagonal_curvature", interrupting)
        model = make("classifier")
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(*iris)
        assert len(model.pruning_history_["round"]) == 1
        model.predict(iris[0])

    def test_in_prune(self, iris):
        """The rounds that are complete are kept."""
        model = make("classifier", prune_fraction=0).fit(*iris).set_params(verbose=1)
        with (
            pytest.warns(UserWarning, match="Training interrupted by user") as caught,
            redirect_stdout(Interrupting("round  2", 1)),
        ):
            model.prune(*iris, prune_fraction=0.9)
        assert caught[-1].filename == __file__
        assert len(model.pruning_history_["round"]) == 1
        assert_deleted_are_zero(model)

    def test_before_anything_is_learnt(self, iris, monkeypatch):
        def interrupting(*args, **kwargs):
            raise KeyboardInterrupt

        fitted = make("classifier").fit(*iris)
        before, model = digest(fitted), make("classifier")
        monkeypatch.setattr("skobd._mlp.fit.Objective", interrupting)
        for estimator in (fitted, model):
            with pytest.raises(KeyboardInterrupt):
                estimator.fit(*iris)
        assert digest(fitted) == before
        assert not hasattr(model, "coefs_")
