"""What the parameter ``scoring`` of a search asks for."""

from dataclasses import dataclass
from typing import Any

from sklearn.metrics import check_scoring

from .._sklearn_compat import accepts_sample_weight
from .._warnings import warn_user


@dataclass(frozen=True)
class Scoring:
    """One scorer, or several by name.

    Attributes
    ----------
    scorer : callable
        ``scorer(estimator, X, y)`` returns a number, or for several scorers a dict of them.
    by_name : dict of str to callable
        Several scorers; a single one is called "score".
    are_several : bool
        A single callable may still return several scores.
    only_predict : bool
        Whether all are scikit-learn's, which do nothing with an estimator but predict.
    """

    scorer: Any
    by_name: dict[str, Any]
    are_several: bool
    only_predict: bool

    @classmethod
    def of(cls, estimator: Any, scoring: Any, error_score: Any) -> "Scoring":
        """What the parameters of a search ask for."""
        # Of several, one that fails returns its traceback unless errors are to be raised.
        scorer = check_scoring(estimator, scoring, raise_exc=error_score == "raise")
        are_several = isinstance(scoring, list | tuple | dict)
        if not are_several:
            scoring = {"score": scoring}
        elif not isinstance(scoring, dict):
            scoring = {name: name for name in scoring}
        return cls(
            scorer=scorer,
            by_name={name: check_scoring(estimator, one) for name, one in scoring.items()},
            are_several=are_several,
            only_predict=all(one is None or isinstance(one, str) for one in scoring.values()),
        )

    @property
    def scorer_or_scorers(self) -> Any:
        """As searches show it to users."""
        return self.by_name if self.are_several else self.scorer

    def accept_sample_weight(self) -> bool:
        """Whether any scorer does; warns of those that do not."""
        accepting = {name: accepts_sample_weight(scorer) for name, scorer in self.by_name.items()}
        for name, accepts in accepting.items():
            if accepts is False:
                warn_user(
                    f"The scorer {self.by_name[name]} does not support sample_weight: rows count "
                    "alike in its scores, but not in the fit."
                )
        return any(accepting.values())
