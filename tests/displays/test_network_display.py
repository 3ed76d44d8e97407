"""What `NetworkDisplay` draws: positions, weights and texts, not pixels."""

import warnings

import numpy as np
import pytest
from plots import SETTINGS, texts

from skobd import NetworkDisplay, OBDMLPClassifier, OBDMLPRegressor

pytestmark = pytest.mark.slow

# Input c is dead; h1 is constant, h3 is not used.
COEFS = [
    np.array([[2.0, 0, 0, 0], [0, 0, -1.0, 3.0], [0, 0, 0, 0]]),
    np.array([[1.5], [4.0], [-0.5], [0]]),
]
INTERCEPTS = [np.array([0.1, -0.2, 0.0, 0.4]), np.array([1.0])]


@pytest.fixture
def small():
    return NetworkDisplay(
        coefs=COEFS,
        intercepts=INTERCEPTS,
        activation="tanh",
        feature_names=["a", "b", "c"],
        output_names=["yes"],
    )


def test_only_what_matters_is_drawn(small):
    small.plot()
    assert [list(units) for units in small.units_] == [[0, 1], [0, 2], [0]]
    assert [len(nodes.get_offsets()) for nodes in small.nodes_] == [2, 2, 1]
    assert [[label.get_text() for label in column] for column in small.labels_] == [
        ["a", "b"],
        ["h0", "h2"],
        # The constant unit's output belongs to the intercept: 1 + 4 tanh(-0.2) = 0.21.
        ["yes\nb = +0.21"],
    ]


def test_connections_run_between_their_units_with_width_and_colour_of_their_weight(small):
    small.plot()
    assert [list(values) for values in small.weights_] == [[-1, 2], [-0.5, 1.5]]
    a, b = small.positions_[0]
    h0, h2 = small.positions_[1]
    (yes,) = small.positions_[2]
    expected = [[(b, h2), (a, h0)], [(h2, yes), (h0, yes)]]
    for edges, ends in zip(small.edges_, expected, strict=True):
        np.testing.assert_array_equal(edges.get_segments(), ends)
    widths = np.concatenate([edges.get_linewidths() for edges in small.edges_])
    sizes = np.abs(np.concatenate(small.weights_))
    np.testing.assert_array_equal(np.argsort(widths), np.argsort(sizes))
    for edges in small.edges_:
        negative, positive = edges.get_colors()
        # Vermillion against blue.
        assert negative[0] > negative[2]
        assert positive[2] > positive[0]


def test_inputs_stand_left_of_hidden_units_left_of_outputs(small):
    small.plot()
    assert [set(positions[:, 0]) for positions in small.positions_] == [{0}, {1}, {2}]
    for positions in small.positions_:
        assert (np.diff(positions[:, 1]) < 0).all()


def test_intercepts_and_weights_are_written(small):
    small.plot()
    found = texts(small.ax_)
    assert "b = +0.10" in found
    assert "hidden (tanh)" in found
    minus = "\N{MINUS SIGN}"
    assert {text.get_text() for text in small.weight_labels_} == {
        "+2.0",
        f"{minus}1.0",
        "+1.5",
        f"{minus}0.50",
    }
    assert small.plot(show_weights=False).weight_labels_ == []


def test_deleted_intercept_is_not_written(small):
    # Unit 2 has none.
    assert sum(text.startswith("b = ") for text in texts(small.plot().ax_)) == 1


def test_network_without_any_connection():
    coefs, intercepts = [np.zeros((2, 2)), np.zeros((2, 1))], [np.zeros(2), np.ones(1)]
    display = NetworkDisplay(coefs=coefs, intercepts=intercepts).plot()
    assert [len(units) for units in display.units_] == [0, 0, 1]
    assert display.labels_[-1][0].get_text() == "y0\nb = +1.0"
    display.figure_.canvas.draw()


def redraw(clf):
    NetworkDisplay.from_estimator(clf, max_connections=50)


def test_too_many_connections_are_cut_and_it_says_so(digits):
    clf = OBDMLPClassifier((10,), **SETTINGS, prune_fraction=0.3).fit(*digits)
    with pytest.warns(UserWarning, match=r"only the 50 largest of \d+ connections"):
        display = NetworkDisplay.from_estimator(clf, max_connections=50)
    for draw in (lambda: display.plot(max_connections=50), lambda: redraw(clf)):
        with pytest.warns(UserWarning, match="only the 50 largest") as caught:
            draw()
        assert {warning.filename for warning in caught} == {__file__}
    drawn = np.concatenate(display.weights_)
    assert len(drawn) == 50
    weights = np.concatenate([np.abs(coefs).ravel() for coefs in clf.coefs_])
    np.testing.assert_allclose(np.sort(np.abs(drawn)), np.sort(weights)[-50:])
    assert display.ax_.get_title().startswith("Only the 50 largest of ")
    assert display.weight_labels_ == []
    # Every input and hidden unit that is drawn is connected.
    for layer, edges in enumerate(display.edges_):
        starts = {tuple(segment[0]) for segment in edges.get_segments()}
        if layer == 0:
            assert starts == {tuple(position) for position in display.positions_[0]}


def test_nothing_is_said_of_a_network_within_the_limit(clf):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = NetworkDisplay.from_estimator(clf)
    assert display.ax_.get_title() == ""


def test_output_names(clf, iris, diabetes):
    X, y = iris
    names = [label.get_text().split("\n")[0] for label in
             NetworkDisplay.from_estimator(clf).labels_[-1]]  # fmt: skip
    assert names == ["class 0", "class 1", "class 2"]
    strings = np.array(["setosa", "other"])[(y > 0).astype(int)]
    binary = OBDMLPClassifier((3,), **SETTINGS).fit(X, strings)
    display = NetworkDisplay.from_estimator(binary)
    assert display.labels_[-1][0].get_text().startswith("setosa\n")
    display = NetworkDisplay.from_estimator(binary, output_names=["no", "yes"])
    assert display.labels_[-1][0].get_text().startswith("yes\n")
    with pytest.raises(ValueError, match="output_names must be a sequence of 2 names, got 1"):
        NetworkDisplay.from_estimator(binary, output_names=["yes"])
    reg = OBDMLPRegressor(hidden_layer_sizes=(3,), **SETTINGS).fit(*diabetes)
    display = NetworkDisplay.from_estimator(reg)
    assert display.labels_[-1][0].get_text().startswith("y\n")
    assert "output (identity)" in texts(display.ax_)


def test_network_errors(small):
    with pytest.raises(ValueError, match="show_weights must be 'auto', True or False"):
        small.plot(show_weights="always")
    with pytest.raises(ValueError, match="max_connections == 0, must be >= 1"):
        small.plot(max_connections=0)


def test_rule_of_a_monks_problem_can_be_read():
    """On noise-free one-hot data only the inputs of the rule are drawn."""
    codes = np.stack(np.meshgrid(*[np.arange(3)] * 4), axis=-1).reshape(-1, 4)
    X = np.eye(3)[codes].reshape(len(codes), -1)
    y = (codes[:, 0] == 1) | (codes[:, 2] == 0)
    names = [f"a{column} = {value}" for column in range(4) for value in range(3)]
    clf = OBDMLPClassifier(
        (2,), "tanh", solver="lbfgs", alpha=0.1, prune_fraction=0.88, n_rounds=10, random_state=0
    )
    display = NetworkDisplay.from_estimator(clf.fit(X, y), feature_names=names)
    assert clf.score(X, y) == 1
    assert {label.get_text() for label in display.labels_[0]} == {"a0 = 1", "a2 = 0"}


MATRIX, VECTOR = np.ones((2, 3)), np.ones(3)


@pytest.mark.parametrize(
    ("coefs", "intercepts", "name"),
    [
        (None, [VECTOR], "coefs"),
        ([], [], "coefs"),
        ([VECTOR], [VECTOR], "coefs"),
        ([MATRIX, MATRIX], [VECTOR, VECTOR], "coefs"),
        ([MATRIX], [], "intercepts"),
        ([MATRIX], [np.ones(2)], "intercepts"),
        ([MATRIX * np.nan], [VECTOR], "finite"),
    ],
)
def test_arrays_that_make_no_network_are_named(coefs, intercepts, name):
    with pytest.raises((ValueError, TypeError), match=name):
        NetworkDisplay(coefs=coefs, intercepts=intercepts).plot()
