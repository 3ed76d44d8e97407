"""Where a search has its exports."""

from typing import TYPE_CHECKING, Any


class ExportsOfBestMixin:
    """Says that exports are methods of the network that a search found."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called where there is no such attribute."""
            if name in ("to_onnx", "to_c", "to_sklearn", "compact"):
                raise AttributeError(
                    f"A search has no {name}: call that of the network, best_estimator_, or of the "
                    "last step of best_estimator_ where that is a pipeline. For a whole pipeline: "
                    "skobd.to_c(search); skobd.register_onnx_converters(), then "
                    "skl2onnx.to_onnx(search, X)."
                )
            # Looked up again, for the message of the property or method that failed.
            return self.__getattribute__(name)
