"""`export_text`: its formulas and rules, read back, predict what the model predicts."""

import itertools
import re

import numpy as np
import pytest
from formulas import evaluate, filled, follow, formulas, rules
from models import plain
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from skobd import (
    OBDFeatureSelector,
    OBDMLPClassifier,
    OBDMLPRegressor,
    PruningSearchCV,
    export_text,
)
from skobd._export import text as formulas_of
from skobd._export.rules import conjunctions
from skobd._net.activations import ACTIVATIONS as KNOWN_ACTIVATIONS
from skobd._net.losses import LOSSES

pd = pytest.importorskip("pandas")
# A few iterations make any network that can be written.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

N_COLUMNS = 6
SCALERS = {
    "none": lambda: "passthrough",
    "standard": StandardScaler,
    "centred": lambda: StandardScaler(with_std=False),
    "min_max": MinMaxScaler,
    "clipped": lambda: make_pipeline(StandardScaler(), MinMaxScaler((-1, 2), clip=True)),
    "max_abs": MaxAbsScaler,
    "robust": RobustScaler,
}
TARGETS = ("binary", "multiclass", "multilabel", "number", "numbers", "poisson")
SIZES = ((), (4,), (5, 3))
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")


def table(rng, n_rows=80, magnitudes=3):
    """Columns of different units."""
    units = 10.0 ** rng.integers(-magnitudes, magnitudes + 1, N_COLUMNS)
    X = (rng.standard_normal((n_rows, N_COLUMNS)) + rng.integers(-3, 4, N_COLUMNS)) * units
    return pd.DataFrame(X, columns=[f"column {k} (u)" for k in range(N_COLUMNS)])


def targets(kind, rng, n_rows):
    numbers = {"number": (n_rows,), "numbers": (n_rows, 2)}
    if kind in numbers:
        return rng.standard_normal(numbers[kind])
    shape = (n_rows, 3) if kind == "multilabel" else n_rows
    return rng.integers(0, {"multiclass": 3, "poisson": 5}.get(kind, 2), shape)


def network(kind, **params):
    """An unfitted network; a few iterations make its weights different from each other."""
    params = plain(max_iter=5, n_rounds=2, random_state=0, **params)
    if kind in ("number", "numbers", "poisson"):
        loss = "poisson" if kind == "poisson" else "squared_error"
        return OBDMLPRegressor(loss=loss, **params)
    return OBDMLPClassifier(**params)


def predicted(model, X):
    """Outputs of the network after the link, shape (n_rows, n_outputs)."""
    if not hasattr(model, "predict_proba"):
        return model.predict(X).reshape(len(X), -1)
    p = model.predict_proba(X)
    return p[:, 1:] if model[-1].n_outputs_ == 1 else p


def assert_says_the_same(text, model, X, **tolerance):
    p, heads = evaluate(text, {name: X[name].to_numpy() for name in X.columns})
    expected = predicted(model, X)
    assert p.shape == expected.shape
    assert_allclose(p, expected, **{"rtol": 1e-8, "atol": 1e-10} | tolerance)
    return heads


@pytest.mark.filterwarnings("ignore:Pruning has left")
@pytest.mark.parametrize("seed", range(42))
def test_formulas_predict_the_same(seed):
    rng = np.random.default_rng(seed)
    kind, scaler = TARGETS[seed % len(TARGETS)], list(SCALERS)[seed % len(SCALERS)]
    X = table(rng, magnitudes=0 if scaler in ("none", "centred") else 3)
    mlp = network(
        kind,
        hidden_layer_sizes=SIZES[seed % len(SIZES)] if seed % 2 else (4,),
        activation=rng.choice(ACTIVATIONS),
        prune_fraction=rng.choice([0, 0.3, 0.7, 0.9]),
    )
    model = make_pipeline(SCALERS[scaler](), mlp).fit(X, targets(kind, rng, len(X)))
    # Beyond what was seen in training, where a scaler clips.
    text = export_text(model, decimals=16, max_weights=None)
    assert_says_the_same(text, model, 2 * X + 0.1, rtol=1e-6 if kind == "poisson" else 1e-8)


def test_single_precision():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((50, 3)).astype(np.float32), columns=["a", "b", "c"])
    model = make_pipeline(StandardScaler(), network("number", hidden_layer_sizes=(4,)))
    model.fit(X, X["a"] - X["b"])
    assert model[-1].coefs_[0].dtype == np.float32
    assert_says_the_same(export_text(model, decimals=16), model, X, rtol=1e-3, atol=1e-5)


def test_columns_of_all_kinds():
    """Imputed, scaled, clipped and encoded columns, selected and joined."""
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "income": rng.lognormal(10, 1, n),
            "colour": pd.Series(rng.choice(["red", "blue", "light green"], n), dtype=object),
            "sex": pd.Series(rng.choice(["f", "m"], n), dtype=object),
            "city": pd.Series(rng.choice(["A", "B"], n), dtype=object),
            "waste": rng.standard_normal(n),
        }
    )
    X.loc[:20, "age"] = np.nan
    X.loc[10:30, "colour"] = np.nan
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()), ["age"]),
        (make_pipeline(FunctionTransformer(np.log1p), MinMaxScaler(clip=True)), ["income"]),
        (
            make_pipeline(
                SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
            ),
            ["colour"],
        ),
        (OneHotEncoder(drop="if_binary"), ["sex", "city"]),
        (
            make_pipeline(make_union(RobustScaler(), "passthrough"), SelectKBest(k=1)),
            ["waste"],
        ),
        sparse_threshold=0,
    )
    y = (X["age"].fillna(40) > 45) ^ (X["sex"] == "m") ^ (X["income"] > 20_000)
    model = make_pipeline(columns, network("binary", hidden_layer_sizes=(4,), prune_fraction=0.1))
    model.fit(X, y)
    text = export_text(model, decimals=16)
    new = X.copy()
    new.loc[5, "colour"] = "unknown"
    new["income"] *= 3
    assert_says_the_same(text, model, new)
    for part in ("[colour = light green]", "[age is missing]", "clip(log1p(income), ", "[sex = m]"):
        assert f"* {part}" in text
    assert f"# age counts as {float(X['age'].mean())!r} where it is missing" in text
    assert "as SimpleImputer" not in text


@pytest.mark.parametrize("transformer", [PCA(2), PolynomialFeatures(2, include_bias=False)])
def test_columns_of_other_transformers_have_their_own_names(transformer):
    rng = np.random.default_rng(0)
    X = table(rng)
    joined = make_column_transformer(
        (make_pipeline(StandardScaler(), transformer), list(X.columns[:3])),
        (StandardScaler(), list(X.columns[3:])),
    )
    mlp = network("number", hidden_layer_sizes=(3,), prune_fraction=0)
    model = make_pipeline(joined, mlp).fit(X, targets("number", rng, len(X)))
    text = export_text(model, decimals=16)
    found = [
        f"pipeline__{name}"
        for name in joined.named_transformers_["pipeline"].get_feature_names_out()
    ]
    kind = type(transformer).__name__
    assert text.startswith(f"# Columns as {kind} puts them out: {', '.join(found)}\n")
    values = joined.named_transformers_["pipeline"].transform(X.iloc[:, :3])
    inner = pd.DataFrame(values, columns=found)
    p, _ = evaluate(text, {c: f[c].to_numpy() for f in (inner, X) for c in f.columns})
    assert_allclose(p[:, 0], model.predict(X), rtol=1e-8)


def test_a_union_of_transformations_of_one_column_is_one_term():
    rng = np.random.default_rng(0)
    X = table(rng)
    union = make_union(StandardScaler(), MinMaxScaler())
    mlp = network("number", hidden_layer_sizes=(3,), prune_fraction=0)
    model = make_pipeline(union, mlp).fit(X, targets("number", rng, len(X)))
    text = export_text(model, decimals=16)
    assert_says_the_same(text, model, X)
    for head, _, terms in formulas(text)[0]:
        names = [term for _, term in terms]
        assert len(names) == len(set(names)), head


def test_sizes_of_numbers_and_order_of_terms():
    rng = np.random.default_rng(0)
    X = table(rng)
    mlp = network("number", hidden_layer_sizes=(4,), prune_fraction=0)
    model = make_pipeline(StandardScaler(), mlp).fit(X, targets("number", rng, len(X)))
    text = export_text(model)
    found = formulas(text)[0]
    coefs, outer = mlp.coefs_[0], mlp.coefs_[1][:, 0]
    assert [head for head, _, _ in found[:-1]] == [f"h{k}" for k in np.argsort(-abs(outer))]
    for head, function, terms in found[:-1]:
        weights = coefs[:, int(head[1:])]
        order = np.argsort(-abs(weights))
        assert function == "relu"
        assert [term for _, term in terms if term] == list(X.columns[order])
        raw = (weights / model[0].scale_)[order]
        assert_allclose([w for w, term in terms if term], raw, rtol=0.005)
    for digits in re.findall(r"^    [+-] (\S+) +\*", text, re.MULTILINE):
        assert len(digits.partition("e")[0].replace(".", "").strip("0")) <= 3


def test_few_digits_are_enough_far_from_zero():
    """Rounded weights of a column of large mean and small spread do not spoil the sum."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"year": 2000 + rng.standard_normal(80), "b": rng.standard_normal(80)})
    mlp = network("number", hidden_layer_sizes=(4,), activation="tanh", prune_fraction=0)
    model = make_pipeline(StandardScaler(), mlp).fit(X, X["year"] - 2000 + X["b"])
    assert_says_the_same(export_text(model, decimals=3), model, X, atol=0.01)


@pytest.mark.parametrize("n", [1, 7, 20])
def test_it_says_how_many_weights_are_left_out(n):
    rng = np.random.default_rng(0)
    X = table(rng)
    mlp = network("multiclass", hidden_layer_sizes=(5, 4), prune_fraction=0.3)
    model = make_pipeline(StandardScaler(), mlp).fit(X, targets("multiclass", rng, len(X)))
    whole = formulas(export_text(model, max_weights=None))[0]
    text = export_text(model, max_weights=n)
    sizes = {head: sum(bool(term) for _, term in terms) for head, _, terms in whole}
    found = formulas(text)[0]
    n_written = 0
    for head, _, terms in found:
        texts = [term for _, term in terms if term]
        left = [int(term.split()[2]) for term in texts if term.startswith("    ...")]
        n_own = len(texts) - len(left)
        assert n_own + sum(left) == sizes[head]
        n_written += n_own
    assert 0 < n_written <= n
    remark = f"# Only {n_written} of {sum(sizes.values())} weights are written, the largest."
    assert text.startswith(remark)
    assert "weights are written" not in export_text(model, max_weights=sum(sizes.values()))


@pytest.mark.parametrize("kind", TARGETS)
def test_nothing_left(kind):
    rng = np.random.default_rng(0)
    X = table(rng)
    mlp = network(kind, hidden_layer_sizes=(3,))
    model = make_pipeline(StandardScaler(), mlp).fit(X, targets(kind, rng, len(X)))
    mlp.coefs_ = [0 * weights for weights in mlp.coefs_]
    text = export_text(model, decimals=16)
    assert_says_the_same(text, model, X)
    assert not any(term for _, _, terms in formulas(text)[0] for _, term in terms)


def test_heads_of_outputs():
    rng = np.random.default_rng(0)
    X = table(rng)
    for kind, heads in {
        "binary": ["score"],
        "multiclass": ["score of class 0", "score of class 1", "score of class 2"],
        "multilabel": ["score of label 0", "score of label 1", "score of label 2"],
        "numbers": ["y0", "y1"],
        "poisson": ["y"],
    }.items():
        model = make_pipeline(StandardScaler(), network(kind)).fit(X, targets(kind, rng, len(X)))
        text = export_text(model)
        assert [head for head, _, _ in formulas(text)[0]][-len(heads) :] == heads
        assert ("predicted: class 1 where score > 0, else class 0" in text) == (kind == "binary")
        n_names = {"binary": 2, "multiclass": 3, "multilabel": 3}.get(kind, len(heads))
        names = ["no", "yes", "may be"][:n_names]
        given = export_text(model, class_names=names).split("\n")
        expected = {"binary": "score = (", "poisson": "no = exp("}.get(kind)
        expected = expected or ("no = (" if kind == "numbers" else "score of no = (")
        assert expected in given


@pytest.mark.parametrize("transformer", [StandardScaler(), MinMaxScaler((1, 3))])
def test_scaled_targets_are_folded_in(transformer):
    rng = np.random.default_rng(0)
    X = table(rng)
    inner = make_pipeline(StandardScaler(), network("numbers", hidden_layer_sizes=(4,)))
    y = 1000 * targets("numbers", rng, len(X)) + 7000
    model = TransformedTargetRegressor(inner, transformer=transformer).fit(X, y)
    text = export_text(model, decimals=16)
    assert not text.startswith("#")
    assert_says_the_same(text, model, X)


def test_other_targets_are_remarked():
    rng = np.random.default_rng(0)
    X = table(rng)
    inner = make_pipeline(StandardScaler(), network("number", hidden_layer_sizes=(4,)))
    model = TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp)
    model.fit(X, np.exp(targets("number", rng, len(X))))
    text = export_text(model, decimals=16)
    assert text.startswith("# Predictions are what exp makes of the outputs here\n")
    p, _ = evaluate(text, {name: X[name].to_numpy() for name in X.columns})
    assert_allclose(np.exp(p[:, 0]), model.predict(X), rtol=1e-8)


def test_searches_and_frozen_models():
    rng = np.random.default_rng(0)
    X, y = table(rng), targets("binary", rng, 80)
    model = make_pipeline(StandardScaler(), network("binary", hidden_layer_sizes=(4,)))
    search = PruningSearchCV(model, prune_fractions=[0, 0.5], cv=2).fit(X, y)
    text = export_text(search)
    assert text == export_text(search.best_estimator_)
    assert text == export_text(FrozenEstimator(search))


def test_names():
    rng = np.random.default_rng(0)
    X, y = table(rng), targets("number", rng, 80)
    mlp = network("number", hidden_layer_sizes=(3,), prune_fraction=0)
    model = make_pipeline(StandardScaler(), mlp).fit(X.to_numpy(), y)
    assert set(re.findall(r"\* (x\d)", export_text(model))) == {f"x{k}" for k in range(6)}
    names = ["h0", "two\nlines", "a * b", "c = (", "d)", "# e"]
    text = export_text(model, feature_names=names, decimals=16)
    names[1] = "two lines"
    p, _ = evaluate(text, dict(zip(names, X.to_numpy().T, strict=True)))
    assert_allclose(p[:, 0], model.predict(X.to_numpy()), rtol=1e-8)
    assert "hh0 = relu(" in text


def test_given_names_replace_those_seen_in_fit():
    rng = np.random.default_rng(0)
    X, y = table(rng), targets("binary", rng, 80)
    chooser = OBDFeatureSelector(network("binary", hidden_layer_sizes=(4,)), n_features_to_select=3)
    mlp = network("binary", hidden_layer_sizes=(3,), prune_fraction=0)
    model = make_pipeline(StandardScaler(), chooser, mlp).fit(X, y)
    assert_says_the_same(export_text(model, decimals=16), model, X)
    text = export_text(model, feature_names=list("abcdef"))
    chosen = np.array(list("abcdef"))[chooser.get_support()]
    assert set(re.findall(r"\* ([a-f])$", text, re.MULTILINE)) == set(chosen)


def test_a_name_of_the_table_that_a_transformer_gives_again():
    rng = np.random.default_rng(0)
    X = table(rng, magnitudes=0).rename(columns={"column 0 (u)": "pca__pca0"})
    joined = make_column_transformer((PCA(1), list(X.columns[3:])), remainder="passthrough")
    model = make_pipeline(joined, network("number", hidden_layer_sizes=(3,)))
    model.fit(X, targets("number", rng, len(X)))
    with pytest.raises(ValueError, match="both have a column named 'pca__pca0'"):
        export_text(model)


# Rules


@pytest.mark.parametrize("seed", range(12))
def test_rules_are_exact_on_all_binary_inputs(seed):
    rng = np.random.default_rng(seed)
    n, kind = int(rng.integers(1, 8)), ("binary", "multiclass", "multilabel")[seed % 3]
    X = np.array(list(itertools.product([0, 1], repeat=n)), dtype=float)
    given = rng.standard_normal((40, n)) > 0
    names = [f"x{k}" for k in range(n)]
    scaler = StandardScaler() if seed % 2 else "passthrough"
    mlp = network(kind, hidden_layer_sizes=(6,), prune_fraction=0.4, activation="tanh")
    model = make_pipeline(scaler, mlp).fit(given.astype(float), targets(kind, rng, 40))
    # So that more than one class is predicted.
    mlp.coefs_ = [3 * weights for weights in mlp.coefs_]
    text = export_text(model, rules=True)
    assert "The same as rules, for inputs of 0 and 1:" in text or not len(mlp.used_features_)
    assert_follows(text, kind, model.predict(X), dict(zip(names, X.T, strict=True)))
    assert "rules" not in export_text(model)


def assert_follows(text, kind, expected, columns):
    found, otherwise = rules(text)
    if kind == "multilabel":
        for k in range(expected.shape[1]):
            assert_array_equal(follow(found[f"label {k}"], columns), expected[:, k] == 1)
        return
    if kind == "binary":
        (name,) = found
        # Of a class that is always predicted nothing is left.
        assert {name, otherwise} == {"class 0", "class 1"} or (found, otherwise) == (
            {name: [[]]},
            None,
        )
    for name, rule in found.items():
        assert_array_equal(follow(rule, columns), expected == int(name.split()[-1]))


def test_rules_of_missing_values():
    X = np.array(list(itertools.product([0, 1, np.nan], [0, 1])))
    y = np.isnan(X[:, 0]) | (X[:, 1] == 0)
    mlp = OBDMLPClassifier((4,), solver="lbfgs", alpha=0.01, random_state=0)
    mlp.set_params(**plain(prune_fraction=0, alpha=0.01))
    imputer = SimpleImputer(strategy="constant", fill_value=1, add_indicator=True)
    model = make_pipeline(imputer, mlp).fit(X, y)
    assert_array_equal(model.predict(X), y)
    text = export_text(model, class_names=["no", "yes"], rules=True)
    found, otherwise = rules(text)
    ((name, rule),) = found.items()
    assert "x0 is not missing" in text or "x0 is missing" in text.partition("# The same")[2]
    columns = filled(dict(zip(["x0", "x1"], X.T, strict=True)), text.split("\n"))
    assert_array_equal(np.where(follow(rule, columns), name, otherwise) == "yes", y)


VALUES = {
    "head": ["octagon", "round", "square"],
    "body": ["octagon", "round", "square"],
    "smile": ["no", "yes"],
    "jacket": ["blue", "green", "red", "yellow"],
}


@pytest.mark.parametrize("drop", [None, "first"])
def test_rules_of_categories(drop):
    """The first of the MONK's problems: what cannot occur makes the rules no longer."""
    X = pd.DataFrame(list(itertools.product(*VALUES.values())), columns=list(VALUES))
    y = np.where((X["head"] == X["body"]) | (X["jacket"] == "red"), "monk", "other")
    mlp = OBDMLPClassifier(
        (4,), activation="tanh", solver="lbfgs", alpha=0.01, max_iter=500, random_state=0
    )
    mlp.set_params(**plain(prune_fraction=0.5, alpha=0.01))
    model = make_pipeline(OneHotEncoder(drop=drop), mlp).fit(X, y)
    assert model.score(X, y) == 1
    text = export_text(model)
    assert_says_the_same(export_text(model, decimals=16), model, X, atol=1e-6)
    found, otherwise = rules(text)
    columns = {name: X[name].to_numpy() for name in X.columns}
    ((name, rule),) = found.items()
    assert_array_equal(np.where(follow(rule, columns), name, otherwise), model.predict(X))
    assert sum(map(len, rule)) <= 9
    assert "rules" not in export_text(model, rules=False)


@pytest.mark.parametrize("seed", range(20))
def test_conjunctions_are_exact_and_prime(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    rows = np.indices((2,) * n).reshape(n, -1).T
    is_on, is_possible = rng.random((2, 2**n)) < rng.random((2, 1)) + 0.3
    found = conjunctions(is_on, is_possible)

    def covered(conjunction):
        return np.array(
            [all(c in (2, r) for c, r in zip(conjunction, row, strict=True)) for row in rows]
        )

    union = np.zeros(2**n, dtype=bool)
    for conjunction in found:
        union |= covered(conjunction)
    assert_array_equal(union[is_possible], is_on[is_possible])
    for conjunction in found:
        others = [covered(other) for other in found if other != conjunction]
        left = np.logical_or.reduce([np.zeros(2**n, dtype=bool), *others])
        assert (covered(conjunction) & is_on & is_possible & ~left).any(), "not needed"
        for k in np.flatnonzero(np.array(conjunction) != 2):
            wider = (*conjunction[:k], 2, *conjunction[k + 1 :])
            assert (covered(wider) & ~is_on & is_possible).any(), "a literal is not needed"


# Bad input


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = table(rng)
    return make_pipeline(StandardScaler(), network("binary", hidden_layer_sizes=(20,))).fit(
        X, targets("binary", rng, len(X))
    )


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"feature_names": ["a"]}, ValueError, "feature_names must be a sequence of 6 names"),
        ({"feature_names": "abcdef"}, ValueError, "feature_names must be a sequence of 6 names"),
        ({"feature_names": list("abcdea")}, ValueError, "feature_names must differ .* 'a'"),
        ({"class_names": list("abc")}, ValueError, "class_names must be a sequence of 2 names"),
        ({"class_names": ["a", " a"]}, ValueError, "class_names must differ"),
        ({"decimals": -1}, ValueError, "decimals == -1"),
        ({"decimals": 1.5}, TypeError, "decimals must be an instance of int"),
        ({"max_weights": 0}, ValueError, "max_weights == 0"),
        ({"rules": "yes"}, ValueError, "rules must be True, False or 'auto', got 'yes'"),
    ],
)
def test_bad_parameters(fitted, params, error, message):
    with pytest.raises(error, match=message):
        export_text(fitted, **params)


def test_bad_models(fitted):
    with pytest.raises(TypeError, match=r"export_text needs .* got DecisionTreeClassifier"):
        export_text(DecisionTreeClassifier())
    with pytest.raises(NotFittedError):
        export_text(make_pipeline(StandardScaler(), OBDMLPClassifier()))
    with pytest.raises(NotFittedError, match="best_estimator_"):
        export_text(PruningSearchCV(OBDMLPClassifier()))


def test_a_transformer_without_names():
    rng = np.random.default_rng(0)
    X, y = table(rng), targets("number", rng, 80)
    squares = FunctionTransformer(lambda X: X**2)
    model = make_pipeline(squares, StandardScaler(), network("number")).fit(X.to_numpy(), y)
    with pytest.raises(ValueError, match=r"FunctionTransformer cannot .* \(get_feature_names_out"):
        export_text(model)
    names = [f"square {k}" for k in range(N_COLUMNS)]
    assert "* square 0" in export_text(model[1:], feature_names=names)


def test_rules_that_cannot_be_written():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 14))
    model = network("binary", prune_fraction=0).fit(X, targets("binary", rng, 60))
    with pytest.raises(ValueError, match="at most 12 inputs, but this one uses 14"):
        export_text(model, rules=True)
    model = network("number").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="rules=True needs a classifier"):
        export_text(model, rules=True)


def test_every_activation_and_link_can_be_written():
    assert formulas_of._FUNCTIONS.keys() == KNOWN_ACTIVATIONS.keys()
    links = {loss.out_activation for loss in LOSSES.values()}
    assert links - {"logistic", "softmax"} == formulas_of.KINDS.keys() & links
