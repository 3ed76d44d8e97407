"""Conversion of estimators and searches to ONNX by calls of skl2onnx."""

from typing import Any

from .._export import onnx
from .._mlp.estimators import OBDMLPClassifier, OBDMLPRegressor
from .._mlp.exports import converted
from .._mlp.pipelines import last_step
from .feature_selector import OBDFeatureSelector
from .search import PruningSearchCV


def register_onnx_converters() -> None:
    """Tell skl2onnx how the estimators are converted, for pipelines that end in one.

    Call it once before ``skl2onnx.to_onnx(pipeline, X)``; the estimators' own ``to_onnx`` needs
    no such call. A `PruningSearchCV` is converted as its ``best_estimator_``, and an
    `OBDFeatureSelector`, alone or in a pipeline, as a selection of columns.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    See Also
    --------
    OBDMLPClassifier.to_onnx : Converts a classifier by itself.
    OBDMLPRegressor.to_onnx : Converts a regressor by itself.
    used_features_only : Cuts a pipeline to the columns that it uses.

    Examples
    --------
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skobd import OBDMLPClassifier, register_onnx_converters
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = OBDMLPClassifier(
    ...     hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0
    ... )
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> register_onnx_converters()
    >>> model = skl2onnx.to_onnx(pipeline, X[:1].astype("float32"))
    """
    onnx.register(converted, OBDMLPClassifier, OBDMLPRegressor)
    onnx.register_parser(PruningSearchCV, _parse_search)
    onnx.register_selector(lambda selector: selector.get_support(indices=True), OBDFeatureSelector)


def _parse_search(scope: Any, search: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Parse the best estimator, with the options that were given for the search."""
    from skl2onnx._parse import parse_sklearn

    if not hasattr(search, "best_estimator_"):
        raise ValueError("A search is converted as its best_estimator_: call fit, with refit.")
    if options := scope.get_options(search, fail=False):
        scope.add_options(id(last_step(search.best_estimator_)), options)
    return parse_sklearn(scope, search.best_estimator_, inputs, custom_parsers=custom_parsers)
