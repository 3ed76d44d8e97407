"""C code for microcontrollers, by emlearn (extra ``c``)."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier


def to_c(mlp: Any, name: str, inputs: Any = None) -> str:
    """C code of the network of an estimator.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
        Its network, in scikit-learn's form.
    name : str
        Prefix of everything that is defined.
    inputs : ndarray of int, default=None
        The only inputs that the code takes; None for all.
    """
    _check_expressible(mlp)
    try:
        # emlearn makes NumPy raise on every underflow, and would leave it so.
        with np.errstate():
            import emlearn
    except ImportError as error:
        raise ImportError(
            "Exporting to C needs emlearn: pip install skobd[c]. To deploy without it, see "
            "to_sklearn() and to_onnx()."
        ) from error
    if inputs is not None:
        mlp.coefs_[0] = mlp.coefs_[0][inputs if len(inputs) else [0]]
    kind = "classifier" if is_classifier(mlp) else "regressor"
    return emlearn.convert(mlp, method="loadable", return_type=kind).save(name=name)


def _check_expressible(mlp: Any) -> None:
    if mlp.n_layers_ < 3:
        raise ValueError(
            "emlearn has no networks without hidden layers: fit with hidden_layer_sizes of at "
            "least one layer, or write out coefs_[0] and intercepts_[0]."
        )
    if mlp.out_activation_ == "exp":
        raise ValueError(
            "emlearn has no exponential output, which loss='poisson' needs: use to_onnx(), or "
            "fit log(y) with loss='squared_error'."
        )
    if is_classifier(mlp) and mlp._label_binarizer.y_type_.startswith("multilabel"):
        raise ValueError(
            "emlearn has no multilabel targets: use to_onnx(), or one classifier per label "
            "(sklearn.multioutput.MultiOutputClassifier)."
        )
