"""Where weights and groups of the selector's fit go, and what callbacks see of it."""

import numpy as np
import pytest
import sklearn
from models import digest
from recorder import Recorder, needs_callbacks
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skobd import OBDFeatureSelector, OBDMLPClassifier

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore::sklearn.exceptions.ConvergenceWarning"  # few iterations are enough here
    ),
]


def make_classifier(**params):
    defaults = {"solver": "lbfgs", "alpha": 0.1, "max_iter": 20, "random_state": 0}
    return OBDMLPClassifier((6,), **defaults | params)


@pytest.fixture(scope="module")
def weighted(binary):
    """Rows of weight 0, whose labels are noise, and groups."""
    X, y = binary
    return X, y, np.arange(len(y)) % 3 / 2, np.arange(len(y)) % 5


def at_level(weighted, rows=slice(None), **params):
    X, y, weight, _ = weighted
    path = make_classifier(granularity="feature").pruning_path(
        X[rows], y[rows], prune_fractions=[0.5], sample_weight=weight[rows]
    )
    return path.estimator_at(1)


def make_selector(estimator=None, **params):
    defaults = {"n_features_to_select": 5, "step": 5}
    return OBDFeatureSelector(estimator or make_classifier(), **defaults | params)


def test_sample_weights_go_to_the_fit(weighted):
    X, y, weight, _ = weighted
    selector = make_selector().fit(X, y, sample_weight=weight)
    assert digest(selector.estimator_) == digest(at_level(weighted))
    assert digest(selector.estimator_) != digest(make_selector().fit(X, y).estimator_)


def test_sample_weights_go_to_the_folds(weighted):
    X, y, weight, groups = weighted
    selector = make_selector(cv=GroupKFold(3)).fit(X, y, sample_weight=weight, groups=groups)
    assert digest(selector.estimator_) == digest(at_level(weighted))
    for fold, (train, test) in enumerate(GroupKFold(3).split(X, y, groups)):
        expected = at_level(weighted, train)
        # scikit-learn's searches give sample weights to the scorer from some version on.
        possible = [
            expected.score(X[test], y[test]),
            expected.score(X[test], y[test], sample_weight=weight[test]),
        ]
        assert selector.cv_results_[f"split{fold}_test_score"][1] in possible


@pytest.mark.parametrize("name", ["groups", "nonsense"])
@pytest.mark.parametrize("steps", [[], [StandardScaler()]])
def test_what_fit_does_not_know_is_refused_by_its_name(weighted, name, steps):
    X, y, _, groups = weighted
    selector = make_selector(make_pipeline(*steps, make_classifier()) if steps else None)
    full_name = f"obdmlpclassifier__{name}" if steps else name
    with pytest.raises(TypeError, match=rf"OBDMLPClassifier.fit\(\) got .* '{name}'"):
        selector.fit(X, y, **{full_name: groups})


def test_validation_data_go_to_the_fit(weighted):
    X, y, *_ = weighted
    selector = make_selector().fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert selector.path_.validation_score.shape == (2,)


def test_parameters_for_a_step_of_a_pipeline(weighted):
    X, y, weight, _ = weighted
    pipe = make_pipeline(StandardScaler(with_mean=False, with_std=False), make_classifier())
    selector = make_selector(pipe).fit(X, y, obdmlpclassifier__sample_weight=weight)
    assert digest(selector.estimator_[-1]) == digest(at_level(weighted))


@pytest.mark.parametrize("cv", [None, GroupKFold(3)])
def test_metadata_routing(weighted, cv):
    X, y, weight, groups = weighted
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = make_classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        selector = make_selector(mlp, cv=cv, scoring=scorer)
        given = {"sample_weight": weight} | ({} if cv is None else {"groups": groups})
        selector.fit(X, y, **given)
        assert digest(selector.estimator_) == digest(at_level(weighted))
        score = selector.score(X, y, sample_weight=weight)
        assert score == accuracy_score(y, selector.predict(X), sample_weight=weight)
        with pytest.raises(TypeError, match="unexpected argument"):
            selector.fit(X, y, nonsense=weight)
    if cv is not None:
        train, test = next(iter(cv.split(X, y, groups)))
        predicted = at_level(weighted, train).predict(X[test])
        expected = accuracy_score(y[test], predicted, sample_weight=weight[test])
        assert selector.cv_results_["split0_test_score"][1] == expected


def test_score_takes_sample_weights(weighted):
    X, y, weight, _ = weighted
    selector = make_selector().fit(X, y)
    expected = accuracy_score(y, selector.predict(X), sample_weight=weight)
    assert selector.score(X, y, sample_weight=weight) == expected
    assert selector.set_params(scoring="neg_log_loss").fit(X, y).score(X, y) < 0


@needs_callbacks
@pytest.mark.parametrize("cv", [None, 2])
def test_callbacks_see_path_and_folds(binary, cv):
    recorder = Recorder()
    selector = make_selector(make_pipeline(StandardScaler(), make_classifier()), cv=cv)
    selector.set_callbacks(recorder).fit(*binary)
    names = {path: name for what, name, path in recorder.events[1:-1] if what == "begin"}
    assert names[(0,)] == "fit"
    # The pipeline's fit is the path's task, and the network's fit the pipeline's second step.
    assert names[(0, 0, 1, 0)] == names[(0, 0, 1, 1)] == "round"
    if cv is not None:
        assert names[(0, 1)] == "search"
        assert names[(0, 1, 1, 1, 1)] == "round"
    for name in set(names.values()):
        assert recorder.count("begin", name) == recorder.count("end", name)
    assert not {"_callback_fit_ctx", "_parent_callback_ctx"} & set(vars(selector))
    assert "_skl_callbacks" not in vars(selector.estimator_[-1])


@needs_callbacks
def test_a_callback_ends_the_path(binary):
    selector = make_selector(n_features_to_select=2, step=2)
    selector.set_callbacks(Recorder(stop_at=(0, 0, 2))).fit(*binary)
    assert selector.path_.n_features.tolist() == [10, 8, 6]
    assert selector.n_features_ == 6
    assert selector.ranking_.max() == 3


@needs_callbacks
def test_callbacks_of_the_network_itself(binary):
    recorder = Recorder()
    del recorder.max_propagation_depth  # so that it may be set on an estimator in a selector
    mlp = make_classifier().set_callbacks(recorder)
    selector = make_selector(mlp, cv=2).fit(*binary)
    assert recorder.count("end", "round") == 2 * 3
    # The network still has it.
    recorder.events.clear()
    selector.estimator_.prune(*binary, prune_fraction=0.7, n_rounds=1)
    assert recorder.count("end", "round") == 2


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar(binary, capsys, n_jobs):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    selector = make_selector(cv=2, n_jobs=n_jobs)
    selector.set_callbacks(ProgressBar()).fit(*binary)
    shown = capsys.readouterr().out
    assert "OBDFeatureSelector - fit" in shown
    assert "path | OBDMLPClassifier - fit #0" in shown
    assert "OBDMLPClassifier - round #1" in shown
    assert "100%" in shown
