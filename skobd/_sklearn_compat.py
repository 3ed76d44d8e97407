"""All private and version-dependent names of scikit-learn, which no other module imports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.metrics import get_scorer
from sklearn.model_selection._search import _yield_masked_array_for_each_param
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    Interval,
    Options,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import (
    _check_method_params,
    _check_sample_weight,
    _get_feature_names,
    _num_features,
    _num_samples,
)

__all__ = [
    "API_PAGE",
    "CALLBACK_STATE",
    "CallbackSupportMixin",
    "Interval",
    "NoContext",
    "Options",
    "RealNotInt",
    "StrOptions",
    "_check_method_params",
    "_check_sample_weight",
    "_fit_context",
    "_get_feature_names",
    "_num_features",
    "_num_samples",
    "_safe_indexing",
    "_safe_split",
    "_yield_masked_array_for_each_param",
    "accepts_sample_weight",
    "available_if",
    "callback_management_context",
    "check_matplotlib_support",
    "hand_down_callbacks",
    "has_callbacks",
    "input_indices",
    "parallel_block",
    "root_context",
    "single_block",
    "take_callbacks",
    "validate_parameter_constraints",
    "with_callbacks",
    "with_parts",
    "without_callback_state",
]

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock
except ImportError:  # scikit-learn < 1.7
    from sklearn.utils._estimator_html_repr import _VisualBlock

if TYPE_CHECKING:
    # scikit-learn has no types: what its decorators return would be Any to users.
    Method = TypeVar("Method", bound=Callable[..., Any])

    def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]:
        """As in scikit-learn."""

    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]:
        """As in scikit-learn."""

    def with_callbacks(method: Method) -> Method:
        """As in scikit-learn."""
else:
    from sklearn.base import _fit_context
    from sklearn.utils.metaestimators import available_if

    try:
        from sklearn.callback import with_callbacks
    except ImportError:  # scikit-learn < 1.9

        def with_callbacks(method):
            """Return the method itself: there are no callbacks to tear down."""
            return method


try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback._callback_support import callback_management_context
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin: there are no callbacks to support."""

    callback_management_context = nullcontext


# Pages of the API reference, to which diagrams of estimators link.
API_PAGE = (
    "https://skobd.readthedocs.io/en/stable/api/generated/{estimator_module}.{estimator_name}.html"
)


def input_indices(transformer: Any, name: str) -> list[int]:
    """Return the indices of the columns that a step of a fitted `ColumnTransformer` takes."""
    return transformer._transformer_to_input_indices[name]


def with_parts(
    transformer: Any,
    parts: list[tuple[str, Any, Any]],
    inputs: dict[str, list[int]],
    outputs: dict[str, slice],
) -> Any:
    """The fitted `ColumnTransformer` itself with other fitted steps, their columns and outputs."""
    transformer.transformers = transformer.transformers_ = parts
    transformer.output_indices_ = outputs
    transformer.remainder = "drop"
    transformer._remainder = ("remainder", "drop", [])
    transformer._columns = [columns for _, _, columns in parts]
    transformer._transformer_to_input_indices = inputs
    return transformer


# What scikit-learn keeps on an estimator for its callbacks.
CALLBACK_STATE = (
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
)


class NoContext:
    """Replacement of `sklearn.callback.CallbackContext` if there is none."""

    def subcontext(self, **kwargs: Any) -> "NoContext":
        """Return a task within this one."""
        return self

    def call_on_fit_task_begin(self, **kwargs: Any) -> "NoContext":
        """Report the beginning of the task."""
        return self

    def call_on_fit_task_end(self, **kwargs: Any) -> bool:
        """Report the end of the task; return whether to stop."""
        return False

    @contextmanager
    def propagate_callback_context(self, estimator: Any) -> Iterator[None]:
        """Pass the callbacks on to another estimator."""
        yield


def root_context(estimator: Any, **kwargs: Any) -> Any:
    """Return the context of the outermost task of an estimator, with its callbacks set up."""
    if not hasattr(estimator, "_init_callback_context"):
        return NoContext()
    return estimator._init_callback_context(**kwargs)


def without_callback_state(estimator: Any) -> Any:
    """Remove scikit-learn's callback attributes from the estimator, and return it."""
    for name in CALLBACK_STATE:
        vars(estimator).pop(name, None)
    return estimator


def has_callbacks(estimator: Any) -> bool:
    """Return whether the estimator has callbacks."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def hand_down_callbacks(outer: Any, inner: Any) -> None:
    """Let an estimator that replaces another one pass its callbacks on to it."""
    for name in CALLBACK_STATE:
        if name in vars(outer):
            setattr(inner, name, getattr(outer, name))


def take_callbacks(source: Any, target: Any) -> None:
    """Give an estimator the callbacks of another one."""
    if has_callbacks(source):
        target.set_callbacks(*source._skl_callbacks)


def accepts_sample_weight(scorer: Any) -> bool | None:
    """Whether a scorer can be given sample weights; None where scikit-learn cannot tell (< 1.8)."""
    if not hasattr(get_scorer("accuracy"), "_accept_sample_weight"):
        return None
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    return "sample_weight" in signature(scorer).parameters


def single_block(estimator: Any, caption: str) -> Any:
    """Make the ``_sk_visual_block_`` of an estimator, with a line below its name."""
    return _VisualBlock(
        "single",
        estimator,
        names=type(estimator).__name__,
        name_caption=caption,
        name_details=str(estimator),
    )


def parallel_block(name: str, estimator: Any) -> Any:
    """Make the ``_sk_visual_block_`` of a meta-estimator."""
    title = f"{name}: {type(estimator).__name__}"
    return _VisualBlock("parallel", [estimator], names=[title], name_details=[str(estimator)])
