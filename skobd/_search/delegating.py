"""Common part of search and selector, which are estimators around an estimator."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from numpy.typing import NDArray
from sklearn.base import MetaEstimatorMixin
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from .._mlp.data import check_targets_of
from .._mlp.messages import about
from .._mlp.session import all_or_nothing
from .._sklearn_compat import CallbackSupportMixin, available_if, parallel_block
from .._warnings import warnings_given_once
from .scoring import Scoring, is_routing
from .subsets import Subset, check_metadata


def _network_has(name: str) -> Callable[["DelegatingMixin"], bool]:
    """Make a check that the network, or the one to be fitted, has a method."""

    def check(meta: "DelegatingMixin") -> bool:
        if not meta.refit:
            raise AttributeError(f"{name} needs best_estimator_, which refit=False does not make.")
        getattr(getattr(meta, meta._network_name, meta.estimator), name)
        return True

    return check


class DelegatingMixin(CallbackSupportMixin, MetaEstimatorMixin):
    """Route metadata, and predict and score with the network that was chosen."""

    estimator: Any
    cv: Any
    scorer_: Any
    refit: bool | str = True
    _network_name: str

    @property
    def _has_folds(self) -> bool:
        return True

    def _scoring(self) -> Scoring:
        raise NotImplementedError

    def _fit(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------------ fitting

    def _fit_from_scratch(self, X: Any, y: Any, params: dict[str, Any]) -> None:
        """Fit without any attributes of an earlier fit, or leave the estimator as it was."""
        with all_or_nothing(self):
            for attribute in [name for name in vars(self) if name.endswith("_")]:
                # An earlier fit may have had other options.
                delattr(self, attribute)
            with warnings_given_once():
                self._fit(X, y, params)

    def _check_data(
        self, X: Any, y: Any, params: dict[str, Any], scoring: Scoring
    ) -> tuple[Subset, dict[str, Any]]:
        """Return the data with the parameters of fit and score, and those of the splitter."""
        check_targets_of(type(self).__name__, self.estimator, y)
        with about("X and y"):
            X, y = indexable(X, y)
        params = check_metadata(X, params)
        if is_routing():
            routed = process_routing(self, "fit", **params)
            # Without folds the fit uses neither the scorer nor the splitter.
            to_score, to_split = routed.scorer.get("score", {}), routed.get("splitter", {})
            return Subset(X, y, routed.estimator.fit, to_score), to_split.get("split", {})
        if not self._has_folds:
            return Subset(X, y, params, {}), {}
        to_fit = {name: value for name, value in params.items() if name != "groups"}
        to_score = {}
        if params.get("sample_weight") is not None and scoring.accept_sample_weight():
            to_score["sample_weight"] = params["sample_weight"]
        return Subset(X, y, to_fit, to_score), {"groups": params.get("groups")}

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of the estimator, the scorer and the splitter.

        Returns
        -------
        routing : MetadataRouter
            Router as in scikit-learn.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        to_score = MethodMapping().add(caller="score", callee="score")
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=to_fit)
        if self._has_folds:
            to_score.add(caller="fit", callee="score")
            router.add(splitter=self.cv, method_mapping=to_split)
        return router.add(scorer=self._scoring().scorer, method_mapping=to_score)

    # ------------------------------------------------------------------ the network

    def _network(self) -> Any:
        check_is_fitted(self)
        return getattr(self, self._network_name)

    @available_if(_network_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with the network that was chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, with all columns, as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted classes or targets.
        """
        return self._network().predict(X)

    @available_if(_network_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict probabilities of the classes with the network that was chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, with all columns, as in ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        return self._network().predict_proba(X)

    @available_if(_network_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict logarithms of the probabilities with the network that was chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, with all columns, as in ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``.
        """
        return self._network().predict_log_proba(X)

    @available_if(_network_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Score the network that was chosen, by the scorer that chose it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict, with all columns, as in ``fit``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets.
        **params : dict of str -> object
            Metadata for the scorer, such as ``sample_weight``.

        Returns
        -------
        score : float
            Higher is better.
        """
        network = self._network()
        if is_routing():
            params = process_routing(self, "score", **params).scorer.score
        scorer = self.scorer_[self.refit] if isinstance(self.scorer_, dict) else self.scorer_
        score = scorer(network, X, y, **params)
        return score[self.refit] if isinstance(score, dict) else score

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels; only for classifiers."""
        return getattr(self, self._network_name).classes_

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = deepcopy(inner.classifier_tags)
        tags.regressor_tags = deepcopy(inner.regressor_tags)
        tags.input_tags.sparse = inner.input_tags.sparse
        return tags

    def _sk_visual_block_(self):
        """Make the diagram of notebooks."""
        fitted = hasattr(self, self._network_name)
        name = self._network_name if fitted else "estimator"
        return parallel_block(name, getattr(self, name))
