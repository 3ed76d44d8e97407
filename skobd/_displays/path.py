"""`PruningPathDisplay`: how score and objective follow the number of weights."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .._mlp.names import check_names
from .._mlp.unwrap import unwrap
from .._prune.granularity import GRANULARITIES
from .._search.candidates import candidate_names
from .._search.search import PruningSearchCV
from .._search.selection import best_and_threshold, scored_folds, standard_errors
from .axes import mark_best, pretty, scale_axis, to_decibels, without_sign
from .common import (
    COLOURS,
    GREY,
    VERMILLION,
    check_column,
    check_index,
    check_option,
    check_path,
    make_axes,
    remove_spines,
)

if TYPE_CHECKING:
    from typing_extensions import Self

_OBJECTIVES = {
    "after retraining": "objective",
    "after deletion": "objective_after_deletion",
    "after deletion, predicted": "predicted_objective",
    "validation loss": "validation_loss",
}
_LOG_RATIO = 5
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
        The same as the saliencies predicted it.
    validation_loss : array-like of shape (n_levels,), default=None
        Loss on validation data, without the penalty.
    best_index : int, default=None
        The level that was chosen.
    candidates : array-like of shape (n_levels,), default=None
        Where the levels are those of several candidates: the name of each one's. There is a line
        for every name.
    score_name : str, default=None
        What the score is called; None for "Score".

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        One for each curve, its label saying which.
    band_ : matplotlib PolyCollection or None
        The spread over the folds; of several candidates, that of the chosen one.
    threshold_line_ : matplotlib Line2D or None
        One standard error below the best mean score, the median over the levels as in the search.
    best_line_ : matplotlib Line2D or None
        The marker at the chosen level.

    See Also
    --------
    SaliencyDisplay : What each weight is worth.
    NetworkDisplay : The surviving network as a graph.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skobd import OBDMLPClassifier, PruningPathDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier((5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0)
    >>> display = PruningPathDisplay.from_estimator(clf.fit(X, y), decibels=True)
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
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        kind: str | None = None,
        decibels: bool = False,
        negate_score: bool = False,
        xscale: str | None = None,
    ) -> "Self":
        """Plot the ``pruning_history_`` of a fitted estimator.

        Parameters
        ----------
        estimator : OBDMLPClassifier, OBDMLPRegressor, or Pipeline or search around one
            Fitted.
        ax : matplotlib Axes, default=None
            As in `plot`.
        kind : {"score", "objective"}, default=None
            As in `plot`.
        decibels : bool, default=False
            As in `plot`.
        negate_score : bool, default=False
            As in `plot`.
        xscale : {"linear", "log"}, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Drawn already.
        """
        _, mlp = unwrap(estimator, f"{cls.__name__}.from_estimator")
        history, fitted = mlp.pruning_history_, mlp._fitted
        if not len(history["round"]):
            unit = GRANULARITIES[fitted.granularity].unit
            raise ValueError(
                f"{type(mlp).__name__} pruned nothing (prune_fraction={mlp.prune_fraction}, "
                f"n_rounds={mlp.n_rounds}, {fitted.n_total} {unit} in the dense network), so it "
                "has no path to plot; fit with all three positive."
            )
        # Not from the present network, which may have been compacted since.
        n_dense = fitted.rounds[0].n_total
        first = history["loss_before"][:1]
        unknown = [np.nan]
        scores, validation_loss = (
            np.append(unknown, history[name]) if name in history else None
            for name in ("validation_score", "validation_loss")
        )
        display = cls(
            n_weights=np.append([n_dense], history["n_weights"]),
            objective=np.append(first, history["loss_after_retraining"]),
            objective_after_deletion=np.append(unknown, history["loss_after_deletion"]),
            predicted_objective=np.append(
                unknown, history["loss_before"] + history["predicted_increase"]
            ),
            scores=scores,
            validation_loss=validation_loss,
            score_name="Validation score",
        )
        return display.plot(
            ax, kind=kind, decibels=decibels, negate_score=negate_score, xscale=xscale
        )

    @classmethod
    def from_path(
        cls,
        path: Mapping[str, Any],
        *,
        best_index: int | None = None,
        ax: Any = None,
        kind: str | None = None,
        decibels: bool = False,
        negate_score: bool = False,
        xscale: str | None = None,
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
        decibels : bool, default=False
            As in `plot`.
        negate_score : bool, default=False
            As in `plot`.
        xscale : {"linear", "log"}, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Drawn already.
        """
        check_path(path, f"{cls.__name__}.from_path")
        # Nothing was deleted yet in round 0.
        dense = path["round"] == 0
        display = cls(
            n_weights=path["n_weights"],
            objective=path["loss_after_retraining"],
            objective_after_deletion=np.where(dense, np.nan, path["loss_after_deletion"]),
            predicted_objective=np.where(
                dense, np.nan, path["loss_before"] + path["predicted_increase"]
            ),
            scores=path.get("validation_score"),
            validation_loss=path.get("validation_loss"),
            best_index=best_index,
            score_name="Validation score",
        )
        return display.plot(
            ax, kind=kind, decibels=decibels, negate_score=negate_score, xscale=xscale
        )

    @classmethod
    def from_search(
        cls,
        search: PruningSearchCV,
        *,
        scoring: str | None = None,
        ax: Any = None,
        decibels: bool = False,
        negate_score: bool = False,
        band: str | None = "standard_error",
        xscale: str | None = None,
    ) -> "Self":
        """Plot the ``cv_results_`` of a fitted `PruningSearchCV`, one line for each candidate.

        Parameters
        ----------
        search : PruningSearchCV
            Fitted.
        scoring : str, default=None
            Which score, if the search has several.
        ax : matplotlib Axes, default=None
            As in `plot`.
        decibels : bool, default=False
            As in `plot`.
        negate_score : bool, default=False
            As in `plot`.
        band : {"standard_error", "std"} or None, default="standard_error"
            As in `plot`.
        xscale : {"linear", "log"}, default=None
            As in `plot`.

        Returns
        -------
        display : PruningPathDisplay
            Drawn already.
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
            score_name=pretty(
                search.scoring if scoring is None and isinstance(search.scoring, str) else name
            ),
        )
        return display.plot(
            ax, decibels=decibels, negate_score=negate_score, band=band, xscale=xscale
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str | None = None,
        decibels: bool = False,
        negate_score: bool = False,
        band: str | None = "standard_error",
        xscale: str | None = None,
        score_name: str | None = None,
    ) -> "Self":
        """Draw the path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None for a new figure.
        kind : {"score", "objective"}, default=None
            What to draw; None for the score where there is one, else the objective.
        decibels : bool, default=False
            Whether to draw 10 log10 of the values, as the paper does for its objective. They
            must be positive.
        negate_score : bool, default=False
            Whether to draw the negative of the score, for scorers called ``neg_*``.
        band : {"standard_error", "std"} or None, default="standard_error"
            Spread over the folds drawn around their mean.
        xscale : {"linear", "log"}, default=None
            None for "log" where the numbers of weights differ by more than a factor of 5.
        score_name : str, default=None
            Overrides the attribute ``score_name``.

        Returns
        -------
        display : PruningPathDisplay
            The object itself.
        """
        check_option(kind, (None, "score", "objective"), "kind")
        check_option(band, (None, "standard_error", "std"), "band")
        check_option(xscale, (None, "linear", "log"), "xscale")
        if kind is None:
            kind = "objective" if self.scores is None else "score"
        self._check_columns()
        if kind == "score" and self.scores is None:
            raise ValueError(
                "kind='score' needs scores, which need validation data; draw kind='objective'."
            )
        if kind == "score" and np.isnan(np.asarray(self.scores, dtype=float)).all():
            raise ValueError("kind='score' needs scores, but all of them are NaN.")
        if kind == "objective" and self.objective is None:
            raise ValueError("kind='objective' needs the objective, which was not given.")
        if kind == "objective" and not any(map(self._has_finite, _OBJECTIVES.values())):
            raise ValueError("kind='objective' needs the objective, but none of it is finite.")
        n_levels = len(self.n_weights)
        check_index(self.best_index, n_levels)
        ax = make_axes(ax, self, (6.0, 4.0))
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: list[Any] = []
        self.band_, self.threshold_line_, self.best_line_ = None, None, None
        n_weights = np.asarray(self.n_weights, dtype=float)
        if kind == "score":
            label = self._draw_score(n_weights, decibels, negate_score, band, score_name)
        else:
            label = self._draw_objective(n_weights, decibels)
        ax.set_ylabel(f"{label} [dB]" if decibels else label)
        ax.set_xlabel("Surviving weights")
        if xscale is None:
            xscale = "log" if n_weights.max() > _LOG_RATIO * n_weights.min() > 0 else "linear"
        scale_axis(ax, xscale)
        ax.grid(axis="y", color="0.9", zorder=0)
        remove_spines(ax, "top", "right")
        if len(ax.get_legend_handles_labels()[1]) > 1:
            ax.legend(frameon=False, fontsize="small")
        return self

    def _check_columns(self) -> None:
        check_column(self.n_weights, "n_weights")
        n_levels = len(self.n_weights)
        for name in ("scores", *_OBJECTIVES.values()):
            if getattr(self, name) is not None:
                check_column(getattr(self, name), name, n_levels, 2 if name == "scores" else 1)
        if self.candidates is not None:
            check_names(self.candidates, n_levels, "candidates")

    def _has_finite(self, name: str) -> bool:
        """Whether a column is there, with something to draw."""
        values = getattr(self, name)
        return values is not None and bool(np.isfinite(np.asarray(values, dtype=float)).any())

    def _draw_score(self, n_weights, decibels, negate_score, band, score_name) -> str:
        """Means and band over the folds, the chosen level, the one-standard-error line."""
        scores = np.asarray(self.scores, dtype=float).reshape(len(n_weights), -1)
        scores = scored_folds(scores)
        mean, n_splits, errors = scores.mean(axis=1), scores.shape[1], standard_errors(scores)
        spread = scores.std(axis=1) if band == "std" else errors

        def shown(values: Any) -> Any:
            return to_decibels(-values if negate_score else values, decibels)

        what = f"mean of {n_splits} folds" if n_splits > 1 else "validation data"
        self._draw_means(n_weights, shown(mean), what)
        if n_splits > 1 and band is not None:
            self._draw_band(n_weights, shown(mean - spread), shown(mean + spread), band)
        if n_splits > 1 and np.isfinite(mean).any():
            _, threshold = best_and_threshold(mean, errors, n_weights)
            self.threshold_line_ = self.ax_.axhline(
                shown(threshold),
                color=GREY,
                ls="--",
                lw=1,
                label="one standard error from the best",
            )
        if self.best_index is not None:
            self.best_line_ = mark_best(self.ax_, n_weights, shown(mean), self.best_index)
        name = score_name or self.score_name or "Score"
        return without_sign(name) if negate_score else name

    def _draw_means(self, n_weights, means, what) -> None:
        """A line for each candidate; where they are many, only the chosen one has a colour."""
        groups = self._groups()
        for index, (name, rows) in enumerate(groups.items()):
            look = {"color": _LINE_COLOURS[index % len(_LINE_COLOURS)], "label": name or what}
            if len(groups) > len(_LINE_COLOURS) and not self._is_chosen(rows):
                look = {"color": "0.8", "label": f"_{name}", "zorder": 1}
            self.lines_ += self.ax_.plot(n_weights[rows], means[rows], "o-", ms=4, **look)

    def _draw_band(self, n_weights, lower, upper, band) -> None:
        """The spread over the folds; of several candidates that of the chosen one."""
        groups = self._groups().values()
        for rows, line in zip(groups, self.lines_, strict=True):
            if len(groups) == 1 or self._is_chosen(rows):
                self.band_ = self.ax_.fill_between(
                    n_weights[rows],
                    lower[rows],
                    upper[rows],
                    color=line.get_color(),
                    alpha=0.18,
                    lw=0,
                    label=f"± 1 {'standard deviation' if band == 'std' else 'standard error'}",
                )

    def _groups(self) -> dict[str, np.ndarray]:
        """Rows of each candidate by its name; of a single one without a name, all of them."""
        if self.candidates is None:
            return {"": np.arange(len(self.n_weights))}
        names = np.array([str(name) for name in self.candidates], dtype=object)
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names)}

    def _is_chosen(self, rows: np.ndarray) -> bool:
        """Whether the chosen level is among them."""
        index = self.best_index
        return index is not None and index % len(self.n_weights) in rows

    def _draw_objective(self, n_weights, decibels) -> str:
        """The objective after each stage of a round."""
        styles = ("o-", "v:", "x--", "s-")
        for (label, name), colour, style in zip(_OBJECTIVES.items(), COLOURS, styles, strict=False):
            if not self._has_finite(name):
                continue
            values = to_decibels(np.asarray(getattr(self, name), dtype=float), decibels)
            self.lines_ += self.ax_.plot(
                n_weights, values, style, color=colour, ms=4, lw=1.4, label=label
            )
        if self.best_index is not None:
            values = self.lines_[0].get_ydata()
            self.best_line_ = mark_best(self.ax_, n_weights, values, self.best_index)
        if not decibels:
            values = np.concatenate([line.get_ydata() for line in self.lines_])
            values = values[np.isfinite(values)]
            if values.min() > 0 and values.max() > 10 * values.min():
                self.ax_.set_yscale("log")
        return "Objective"
