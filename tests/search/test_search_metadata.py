"""Several scores, and where sample weights and groups go."""

import numpy as np
import pytest
import sklearn
from models import digest
from searches import LEVELS, KeepsNetworks, make_classifier, make_search
from sklearn.metrics import accuracy_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


def test_several_scores(iris):
    search = make_search(scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss").fit(*iris)
    for metric in ("accuracy", "neg_log_loss"):
        single = make_search(scoring=metric).fit(*iris)
        for column in ("mean_test", "std_test", "rank_test", "sem_test", "split2_test"):
            np.testing.assert_array_equal(
                search.cv_results_[f"{column}_{metric}"], single.cv_results_[f"{column}_score"]
            )
    assert search.multimetric_
    assert search.best_index_ == single.best_index_
    assert search.score(*iris) == -log_loss(iris[1], search.predict_proba(iris[0]))
    assert set(search.scorer_) == {"accuracy", "neg_log_loss"}


def test_several_scores_by_a_callable(iris):
    def scores(estimator, X, y):
        return {"accuracy": estimator.score(X, y), "lightness": -estimator.n_weights_}

    search = make_search(scoring=scores, refit="lightness", selection="best").fit(*iris)
    assert search.best_index_ == 2
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_lightness"], -search.cv_results_["mean_n_weights"]
    )


@pytest.mark.parametrize("refit", [True, "precision"])
def test_several_scores_need_the_name_of_one(iris, refit):
    with pytest.raises(ValueError, match="refit must be set to the scorer key"):
        make_search(scoring=["accuracy", "neg_log_loss"], refit=refit).fit(*iris)


def test_several_scores_without_refit(iris):
    search = make_search(scoring=["accuracy", "neg_log_loss"], refit=False).fit(*iris)
    assert not hasattr(search, "best_index_")


def test_sample_weights_go_to_the_fit_and_the_scorer(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    keeper = KeepsNetworks()
    search = make_search(scoring=keeper, refit=True).fit(X, y, sample_weight=weight)
    for fold, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        path = make_classifier().pruning_path(
            X[train], y[train], prune_fractions=LEVELS, sample_weight=weight[train]
        )
        for index in range(3):
            at_step = path.estimator_at(index)
            assert digest(keeper.by_fold()[fold][index]) == digest(at_step)
            weighted = at_step.score(X[test], y[test], sample_weight=weight[test])
            score = search.cv_results_[f"split{fold}_test_score"][index]
            # scikit-learn's searches give sample weights to the scorer from some version on.
            assert score in (weighted, at_step.score(X[test], y[test]))
    assert set(search.predict(X)) == {0, 1}


@pytest.mark.parametrize("to_scorer", [False, True])
def test_metadata_routing(iris, to_scorer):
    X, y = iris
    weight, groups = np.where(y == 2, 0.0, 1.0), np.arange(len(y)) % 5
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = make_classifier().set_fit_request(sample_weight=True)
        # A score of which every bit depends on the network.
        scorer = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
        scorer.set_score_request(sample_weight=to_scorer)
        search = make_search(
            make_pipeline(StandardScaler().set_fit_request(sample_weight=False), mlp),
            scoring=scorer,
            cv=GroupKFold(3),
        ).fit(X, y, sample_weight=weight, groups=groups)
    for fold, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
        scaler = StandardScaler().fit(X[train])
        expected = make_classifier().pruning_path(
            scaler.transform(X[train]),
            y[train],
            prune_fractions=LEVELS,
            sample_weight=weight[train],
        )
        used = weight[test] if to_scorer else None
        for index in range(3):
            p = expected.estimator_at(index).predict_proba(scaler.transform(X[test]))
            score = search.cv_results_[f"split{fold}_test_score"][index]
            assert score == -log_loss(y[test], p, sample_weight=used)


def test_metadata_nobody_asked_for_are_refused(iris):
    with (
        sklearn.config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="unexpected argument"),
    ):
        make_search().fit(*iris, nonsense=np.ones(150))


@pytest.mark.skipif(
    not hasattr(get_scorer("accuracy"), "_accept_sample_weight"),
    reason="older searches give sample weights to the fit only",
)
@pytest.mark.parametrize("are_several", [False, True])
def test_scorers_that_cannot_take_sample_weights_are_named(iris, are_several):
    def hits(y_true, y_pred):
        return np.mean(y_true == y_pred)

    def misses(y_true, y_pred):
        return np.mean(y_true != y_pred)

    scoring = {"accuracy": "accuracy", "one": make_scorer(hits), "other": make_scorer(misses)}
    search = make_search(scoring=scoring, refit="one")
    if not are_several:
        search = make_search(scoring=scoring["one"])
    with pytest.warns(UserWarning, match="does not support sample_weight") as caught:
        search.fit(*iris, sample_weight=np.linspace(0.5, 1.5, 150))
    (told,) = (warning for warning in caught if "sample_weight" in str(warning.message))
    assert told.filename == __file__
    named = [name for name in ("accuracy", "hits", "misses") if name in str(told.message)]
    assert named == (["hits", "misses"] if are_several else ["hits"])


def test_metadata_of_the_score(iris):
    X, y = iris
    weight = np.where(y == 2, 0.0, 1.0)
    search = make_search().fit(X, y)
    others = y[::-1]
    score = search.score(X, others, sample_weight=weight)
    assert score == accuracy_score(others, search.predict(X), sample_weight=weight)
    assert score != search.score(X, others)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        search = make_search(scoring=scorer).fit(X, y)
        score = search.score(X, y, sample_weight=weight)
    assert score == accuracy_score(y, search.predict(X), sample_weight=weight)
