"""`PruningPathDisplay`: how score and objective follow the number of weights."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._mlp.fitted import HISTORY_COLUMNS
from .._mlp.pipelines import unwrap
from .._prune.granularity import GRANULARITIES
from .._search.candidates import candidate_names
from .._search.search import PruningSearchCV
from .._search.selection import best_and_threshold, scored_folds, standard_errors
from .common import (
    COLOURS,
    GREY,
    VERMILLION,
    check_option,
    index_of_level,
    make_axes,
    names_or_default,
    numbers_by_level,
    place_legend,
    remove_spines,
    score_label,
    validation_label,
)

if TYPE_CHECKING:
    from typing_extensions import Self

_OBJECTIVES = {
    "after retraining": "objective",
    "after deletion": "objective_after_deletion",
    "after deletion, predicted": "predicted_objective",
    "validation loss": "validation_loss",
}
# An axis is logarithmic where the largest number is more than this many times the smallest.
_LOG_RATIO_OF_WEIGHTS, _LOG_RATIO_OF_OBJECTIVE = 5, 10
# Of candidates; the star at the chosen level has a colour of its own.
_LINE_COLOURS = tuple(colour for colour in COLOURS if colour != VERMILLION)


class PruningPathDisplay:
    """Score or objective against the number of surviving weights, from dense to sparse.

    Build it with `from_estimator`, `from_path` or `from_search`; every parameter becomes an
    attribute.

    Parameters
    ----------
    n_weights : array-like of shape (n_levels,)
        Surviving weights at each level (their mean over the folds, for a search).
    scores : array-like of shape (n_levels,) or (n_levels, n_splits), default=None
        Score on held-out data, of each fold for a search.
    objective : array-like of shape (n_levels,), default=None
        Training objective after retraining.
    objective_after_deletion : array-like of shape (n_levels,), default=None
        Training objective after the deletion, before retraining; NaN for the dense network.
    predicted_objective : array-like of shape (n_levels,), default=None
        Training objective after the deletion as the saliencies predicted it.
    validation_loss : array-like of shape (n_levels,), default=None
        Loss on validation data, without the penalty.
    best_index : int, default=None
        The level that was chosen.
    candidates : array-like of shape (n_levels,), default=None
        Name of the candidate that each level belongs to, where there are several. There is a
        line for every name.
    score_name : str, default=None
        Name of the score; None for "Score".

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves, each named by its label.
    band_ : matplotlib PolyCollection or None
        One standard error around the mean over the folds, of the chosen candidate only.
    threshold_line_ : matplotlib Line2D or None
        One standard error below the best mean score, the median over the levels as in the search.
    best_line_ : matplotlib Line2D or None
        The marker at the chosen level.

    See Also
    --------
    SaliencyDisplay : Shows the saliency of each weight.
    NetworkDisplay : Draws the surviving network as a graph.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier, PruningPathDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> display = PruningPathDisplay.from_estimator(clf.fit(X, y))
    """

    def __init__(
        self,
        *,
        n_weights: Sequence[float] | NDArray[Any],
        scores: ArrayLike | None = None,
        objective: ArrayLike | None = None,
        objective_after_deletion: ArrayLike | None = None,
        predicted_objective: ArrayLike | None = None,
        validation_loss: ArrayLike | None = None,
        best_index: int | None = None,
        candidates: Sequence[str] | None = None,
        score_name: str | None = None,
    ) -> None:
        self.n_weights = n_weights
        self.scores = scores
        self.objective = objective
        self.objective_after_deletion = objective_after_deletion
        self.predicted_objective = predicted_objective
        self.validation_loss = validation_loss
        self.best_index = best_index
        self.candidates = candidates
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, kind: str | None = None) -> "Self":
        """Plot the ``pruning_history_`` of a fitted estimator.

        Parameters
        ----------
        estimator : OBDMLPClassifier, OBDMLPRegressor, or Pipeline or search around one
            Fitted estimator.
        ax : matplotlib Axes, default=None
            As in `plot`.
        kind : {"score", "objective"}, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Display, already drawn.
        """
        _, mlp = unwrap(estimator, f"{cls.__name__}.from_estimator")
        history, fitted = mlp.pruning_history_, mlp._get_fitted()
        if not len(history["round"]):
            unit = GRANULARITIES[fitted.granularity].unit
            raise ValueError(
                f"{type(mlp).__name__} pruned nothing (prune_fraction={mlp.prune_fraction}, "
                f"n_rounds={mlp.n_rounds}, {fitted.n_total} {unit} in the dense network), so it "
                f"has no path to plot; {fitted.stop_reason or 'fit with all three positive'}."
            )
        path: dict[str, Any] = {name: np.append(np.nan, column) for name, column in history.items()}
        path["estimator"] = mlp
        # The size is not that of the present network, which may have been compacted since.
        path["round"][0], path["n_weights"][0] = 0, fitted.rounds[0].n_total
        path["loss_after_retraining"][0] = history["loss_before"][0]
        return cls._of_path(path).plot(ax, kind=kind)

    @classmethod
    def from_path(
        cls,
        path: Mapping[str, Any],
        *,
        best_index: int | None = None,
        ax: Any = None,
        kind: str | None = None,
    ) -> "Self":
        """Plot what ``pruning_path`` of an estimator returned.

        Parameters
        ----------
        path : Bunch
            Result of ``OBDMLPClassifier.pruning_path`` or ``OBDMLPRegressor.pruning_path``.
        best_index : int, default=None
            A level to be marked.
        ax : matplotlib Axes, default=None
            As in `plot`.
        kind : {"score", "objective"}, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Display, already drawn.
        """
        if not (isinstance(path, Mapping) and set(HISTORY_COLUMNS) <= set(path)):
            raise TypeError(
                f"{cls.__name__}.from_path needs a PruningPath, as pruning_path returns it, got "
                f"{type(path).__name__}."
            )
        return cls._of_path(path, best_index).plot(ax, kind=kind)

    @classmethod
    def from_search(
        cls, search: PruningSearchCV, *, scoring: str | None = None, ax: Any = None
    ) -> "Self":
        """Plot the ``cv_results_`` of a fitted `PruningSearchCV`, one line for each candidate.

        Parameters
        ----------
        search : PruningSearchCV
            Fitted estimator.
        scoring : str, default=None
            Which score, if the search has several.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Display, already drawn.
        """
        if not isinstance(search, PruningSearchCV):
            raise TypeError(
                f"{cls.__name__}.from_search needs a fitted PruningSearchCV, got "
                f"{type(search).__name__}."
            )
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        name = "score" if scoring is None else scoring
        prefix = "mean_test_"
        metrics = [key.removeprefix(prefix) for key in results if key.startswith(prefix)]
        if name not in metrics:
            raise ValueError(
                f"scoring={scoring!r} is not among the scores of this search; give one of "
                f"{metrics}."
            )
        columns = [results[f"split{i}_test_{name}"] for i in range(search.n_splits_)]
        display = cls(
            n_weights=results["mean_n_weights"],
            scores=np.column_stack(columns),
            best_index=getattr(search, "best_index_", None),
            candidates=candidate_names(search.cv_results_["params"]),
            score_name=score_label(search, scoring),
        )
        return display.plot(ax)

    @classmethod
    def _of_path(cls, path: Mapping[str, Any], best_index: int | None = None) -> "Self":
        """Make the display of a path's columns; nothing was deleted in round 0."""
        is_dense = path["round"] == 0
        predicted = path["loss_before"] + path["predicted_increase"]
        return cls(
            n_weights=path["n_weights"],
            objective=path["loss_after_retraining"],
            objective_after_deletion=np.where(is_dense, np.nan, path["loss_after_deletion"]),
            predicted_objective=np.where(is_dense, np.nan, predicted),
            scores=path.get("validation_score"),
            validation_loss=path.get("validation_loss"),
            best_index=best_index,
            score_name=validation_label(path) if "validation_score" in path else None,
        )

    def plot(self, ax: Any = None, *, kind: str | None = None) -> "Self":
        """Draw the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        kind : {"score", "objective"}, default=None
            What to draw; None for the score where there is one, else the objective.

        Returns
        -------
        display : PruningPathDisplay
            The object itself.
        """
        check_option(kind, (None, "score", "objective"), "kind")
        n_weights = numbers_by_level(self.n_weights, "n_weights")
        index = index_of_level(self.best_index, len(n_weights))
        columns = self._finite_columns(len(n_weights))
        rows_of = self._rows_of_candidates(len(n_weights))
        scores = columns.pop("scores", None)
        if kind is None:
            kind = "objective" if scores is None else "score"
        if (scores is None) if kind == "score" else not columns:
            missing = "scores, which need validation data" if kind == "score" else "an objective"
            raise ValueError(f"kind={kind!r} needs {missing}; none that is finite was given.")
        self.ax_ = ax = make_axes(ax, self, (6.0, 4.0))
        self.figure_ = ax.figure
        self.lines_: list[Any] = []
        self.band_, self.threshold_line_, self.best_line_ = None, None, None
        if kind == "score":
            values = self._draw_score(n_weights, scores, rows_of, index)
        else:
            values = self._draw_objective(n_weights, columns)
        if index is not None:
            self.best_line_ = _mark_best(ax, n_weights[index], values[index])
        ax.set_ylabel((self.score_name or "Score") if kind == "score" else "Objective")
        _label_weights(ax, n_weights)
        ax.grid(axis="y", color="0.9", zorder=0)
        remove_spines(ax, "top", "right")
        if len(ax.get_legend_handles_labels()[1]) > 1:
            place_legend(ax)
        return self

    def _finite_columns(self, n_levels: int) -> dict[str, np.ndarray]:
        """Return scores and objectives in which there is anything to draw."""
        columns = {
            name: numbers_by_level(getattr(self, name), name, n_levels, name == "scores")
            for name in ("scores", *_OBJECTIVES.values())
            if getattr(self, name) is not None
        }
        return {name: column for name, column in columns.items() if np.isfinite(column).any()}

    def _rows_of_candidates(self, n_levels: int) -> dict[str, np.ndarray]:
        """Return the rows of each candidate by its name; a single one needs none."""
        if self.candidates is None:
            return {"": np.arange(n_levels)}
        names = names_or_default(self.candidates, n_levels, "candidates")
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names)}

    def _draw_score(self, n_weights, scores, rows_of, index) -> np.ndarray:
        """Draw means, band and threshold over the folds; returns the means."""
        scores = scored_folds(scores.reshape(len(n_weights), -1))
        mean, n_splits, errors = scores.mean(axis=1), scores.shape[1], standard_errors(scores)
        default = f"mean of {n_splits} folds" if n_splits > 1 else "validation data"
        for number, (name, rows) in enumerate(rows_of.items()):
            is_chosen = index in rows
            style = {"color": _LINE_COLOURS[number % len(_LINE_COLOURS)], "label": name or default}
            if len(rows_of) > len(_LINE_COLOURS) and not is_chosen:
                # Of many candidates only the chosen one has a colour.
                style = {"color": "0.8", "label": f"_{name}", "zorder": 1}
            self.lines_ += self.ax_.plot(n_weights[rows], mean[rows], "o-", ms=4, **style)
            if n_splits > 1 and (is_chosen or len(rows_of) == 1):
                self.band_ = self.ax_.fill_between(
                    n_weights[rows],
                    (mean - errors)[rows],
                    (mean + errors)[rows],
                    color=style["color"],
                    alpha=0.18,
                    lw=0,
                    label="± 1 standard error",
                )
        if n_splits > 1 and np.isfinite(mean).any():
            _, threshold = best_and_threshold(mean, errors, n_weights)
            label = "one standard error from the best"
            self.threshold_line_ = self.ax_.axhline(
                threshold, color=GREY, ls="--", lw=1, label=label
            )
        return mean

    def _draw_objective(self, n_weights, columns) -> np.ndarray:
        """Draw the objective after each stage of a round; returns the first of them."""
        styles = ("o-", "v:", "x--", "s-")
        for (label, name), colour, style in zip(_OBJECTIVES.items(), COLOURS, styles, strict=False):
            if name in columns:
                self.lines_ += self.ax_.plot(
                    n_weights, columns[name], style, color=colour, ms=4, lw=1.4, label=label
                )
        drawn = list(columns.values())
        values = np.ma.masked_invalid(drawn)
        if values.min() > 0 and values.max() > _LOG_RATIO_OF_OBJECTIVE * values.min():
            self.ax_.set_yscale("log")
        return drawn[0]


def _label_weights(ax: Any, n_weights: np.ndarray) -> None:
    """Label the x axis; plain numbers on a logarithmic scale where they cover a wide range."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax.set_xlabel("Surviving weights")
    if n_weights.max() > _LOG_RATIO_OF_WEIGHTS * n_weights.min() > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _mark_best(ax: Any, x: float, y: float) -> Any:
    """Mark the chosen level with a star."""
    ax.axvline(x, color=VERMILLION, lw=0.8, ls=":")
    style = {"color": VERMILLION, "ms": 13, "mec": "white", "mew": 0.8, "zorder": 5, "ls": "none"}
    (line,) = ax.plot([x], [y], "*", **style, label=f"chosen: {x:,.0f} weights")
    return line
