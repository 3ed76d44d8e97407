"""Scores at every level of a path, by one scorer or by several."""

import pickle
import time
from dataclasses import dataclass, field, replace
from numbers import Number
from traceback import format_exc, format_exception
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring

from .._mlp.path import PruningPath
from .._mlp.pipelines import steps_before, without_transformers
from .._prune.granularity import GRANULARITIES
from .._prune.schedule import Levels, NoSuchSizeError
from .._sklearn_compat import accepts_sample_weight
from .._warnings import warn_user
from .subsets import Subset

# Columns of a path that count the weights, units or inputs left.
_COUNTS = tuple(f"n_{granularity.unit}" for granularity in GRANULARITIES.values())


def is_routing() -> bool:
    """Return whether scikit-learn routes metadata."""
    return get_config()["enable_metadata_routing"]


@dataclass(frozen=True)
class Scoring:
    """Scoring of levels by one scorer, or by several with names.

    Attributes
    ----------
    scorer : callable
        ``scorer(estimator, X, y)`` returns a number, or for several scorers a dict of them. A
        single callable may return several scores, too.
    shown : callable or dict of str to callable
        The attribute ``scorer_``: the scorer, or several by name.
    only_predicts : bool
        Whether scoring only predicts: all scorers are scikit-learn's, and no pipeline passes
        metadata to its transformers.
    error_score : float or "raise"
    return_train_score : bool
    """

    scorer: Any
    shown: Any
    only_predicts: bool
    error_score: Any
    return_train_score: bool

    @classmethod
    def of(
        cls,
        estimator: Any,
        scoring: Any,
        error_score: Any = "raise",
        return_train_score: bool = False,
    ) -> "Scoring":
        """Make the scorers from the parameters of a search."""
        # If one of several fails, it returns its traceback unless errors are to be raised.
        scorer = shown = check_scoring(estimator, scoring, raise_exc=error_score == "raise")
        asked = [scoring]
        if isinstance(scoring, list | tuple | dict):
            named = scoring if isinstance(scoring, dict) else {name: name for name in scoring}
            shown = {name: check_scoring(estimator, one) for name, one in named.items()}
            asked = list(named.values())
        names_only = all(one is None or isinstance(one, str) for one in asked)
        return cls(scorer, shown, names_only and not is_routing(), error_score, return_train_score)

    def accept_sample_weight(self) -> bool:
        """Return whether any scorer accepts sample weights, and warn of those that do not."""
        scorers = list(self.shown.values()) if isinstance(self.shown, dict) else [self.shown]
        accepting = [accepts_sample_weight(scorer) for scorer in scorers]
        refusing = [str(one) for one, does in zip(scorers, accepting, strict=True) if does is False]
        if refusing:
            warn_user(
                f"The scorer {' and the scorer '.join(refusing)} does not support sample_weight: "
                "rows count alike in its scores, but not in the fit."
            )
        return any(accepting)


# Scores by name, or one without a name; also if the names are unknown because scoring failed.
Scores = dict[str, float] | float


@dataclass(frozen=True)
class LevelResult:
    """Scores at a level, and the effort to get there.

    Attributes
    ----------
    test_scores : dict of str to float, or float
    train_scores : dict of str to float, float, or None
        Scores on the training rows, if asked for.
    fit_time, score_time : float
        Seconds.
    counts : dict of str to float
        "n_weights", and "n_units" or "n_features" if those are deleted; empty if the level was not
        reached.
    error : str or None
        Traceback of the error that kept the level from being reached.
    cause : Exception or None
        That error, or the first one of scoring.
    fraction : float
        Fraction deleted; NaN for a size if the network is not known.
    left_out : str
        Reason why it is left out, if it is a size that the network cannot have.
    """

    test_scores: Scores
    train_scores: Scores | None
    fit_time: float
    score_time: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    cause: Exception | None = None
    fraction: float = np.nan
    left_out: str = ""


def score_levels(
    scoring: Scoring,
    path: PruningPath | None,
    levels: Levels,
    subsets: tuple[Subset, Subset],
    seconds: float,
    error: Exception | None,
) -> list[LevelResult]:
    """Score a path at each of the levels.

    Parameters
    ----------
    scoring : Scoring
    path : PruningPath or None
        Path as far as it was reached.
    levels : Levels
    subsets : tuple of two Subset
        Training and test rows.
    seconds : float
        Duration of the fit.
    error : Exception or None
        The error that ended the fit.
    """
    # A level that a callback left out has no score; one that an error left out has `error_score`.
    missing = np.nan if error is None else scoring.error_score
    train_missing = missing if scoring.return_train_score else None
    unreached = LevelResult(missing, train_missing, seconds)
    if error is not None:
        text = "".join(format_exception(error))
        unreached = replace(unreached, error=text, cause=_picklable(error))
    if path is None:
        reason = error.reason if isinstance(error, NoSuchSizeError) else ""
        known = [np.nan] * len(levels.values) if levels.are_sizes else levels.values
        return [replace(unreached, fraction=fraction, left_out=reason) for fraction in known]
    # Time spent before training, in the transformers, counts for every level.
    overhead = seconds - path["fit_time"][-1]
    if scoring.only_predicts:
        path, subsets = _transform_once(path, subsets, scoring.return_train_score)
    reached = {fraction: index for index, fraction in enumerate(path["prune_fractions"])}
    dense = path["steps"][0]
    possible = levels.within(dense.n_least, dense.n_total).values
    return [
        _score_level(scoring, path, reached[fraction], subsets, overhead)
        if fraction in reached and value in possible
        else replace(
            unreached,
            fraction=fraction,
            left_out=dense.possible_sizes if value not in possible else "",
        )
        for value, fraction in zip(levels.values, levels.fractions(dense.n_total), strict=True)
    ]


def _transform_once(
    path: PruningPath, subsets: tuple[Subset, Subset], with_train: bool
) -> tuple[PruningPath, tuple[Subset, Subset]]:
    """Take the transformers, which all levels share, off the path, and apply them to the rows.

    Text, for instance, takes longer to transform than a network of any level to predict.
    """
    steps = steps_before(path["estimator"])
    train, test = subsets
    try:
        test = test.transformed(steps)
        train = train.transformed(steps) if with_train else train
    except Exception:
        # The transformation fails again at every level, where the error is reported.
        return path, subsets
    estimator = without_transformers(path["estimator"])
    return PruningPath(**{**path, "estimator": estimator}), (train, test)


def _score_level(
    scoring: Scoring,
    path: PruningPath,
    index: int,
    subsets: tuple[Subset, Subset],
    overhead: float,
) -> LevelResult:
    estimator = path.estimator_at(index)
    train, test = subsets
    start = time.perf_counter()
    test_scores, cause = _score(scoring, estimator, test)
    score_time = time.perf_counter() - start
    train_scores = None
    if scoring.return_train_score:
        train_scores, train_cause = _score(scoring, estimator, train)
        cause = cause or train_cause
    return LevelResult(
        test_scores=test_scores,
        train_scores=train_scores,
        fit_time=overhead + path["fit_time"][index],
        score_time=score_time,
        counts={name: path[name][index] for name in _COUNTS if name in path},
        cause=cause,
        fraction=path["prune_fractions"][index],
    )


def _score(scoring: Scoring, estimator: Any, subset: Subset) -> tuple[Scores, Exception | None]:
    """Score on some rows; return ``error_score`` and the cause if that fails."""
    raises = scoring.error_score == "raise"
    try:
        scores = scoring.scorer(estimator, subset.X, subset.y, **subset.score_params)
    except Exception as error:
        if raises:
            raise
        _warn_of_failure(scoring, format_exc())
        return scoring.error_score, _picklable(error)
    if not isinstance(scores, dict):
        return _number(scores, scoring.scorer), None
    # Among several scorers, scikit-learn returns the traceback in place of one that fails.
    failed = {name: text for name, text in scores.items() if isinstance(text, str) and not raises}
    cause = None
    if failed:
        _warn_of_failure(scoring, "\n".join(failed.values()))
        cause = RuntimeError(next(iter(failed.values())).strip().rpartition("\n")[2])
    numbers = {
        name: scoring.error_score if name in failed else _number(score, name)
        for name, score in scores.items()
    }
    return numbers, cause


def _warn_of_failure(scoring: Scoring, details: str) -> None:
    warn_user(
        "Scoring failed. The score on this train-test partition for these parameters will be "
        f"set to {scoring.error_score}. Details: \n{details}"
    )


def _number(score: Any, scorer: Any) -> Any:
    """Return a score as a plain number."""
    if hasattr(score, "item") and np.size(score) == 1:
        score = score.item()
    if not isinstance(score, Number):
        raise ValueError(
            f"scoring must return a number, got {score} ({type(score)}) instead. (scorer={scorer})"
        )
    return score


def _picklable(error: Exception) -> Exception:
    """Return the error if it can come back from another process, or else one with its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
