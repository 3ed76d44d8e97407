"""Conversion to ONNX through skl2onnx (extra ``onnx``), whole pipelines included.

The compacted network is converted: a Gather drops dead inputs, then every
layer is a MatMul, an Add and the activation.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import is_classifier

from .._net.compaction import compact
from .._net.network import Indices
from .._net.pruned import PrunedNetwork

_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}
_ACTIVATIONS = {"identity": "Identity", "logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
_LINKS = {"identity": "Identity", "logistic": "Sigmoid", "exp": "Exp"}


class Converted(NamedTuple):
    """The values that a conversion starts from.

    Attributes
    ----------
    pruned : PrunedNetwork
    link : str
        Name of the output activation.
    classes : ndarray or None
        Labels; None for a regressor.
    is_multilabel : bool
    """

    pruned: PrunedNetwork
    link: str
    classes: Any = None
    is_multilabel: bool = False

    @property
    def n_outputs(self) -> int:
        """Number of output units."""
        return self.pruned.network.layer_sizes[-1]


# read(estimator) returns the values of a fitted estimator that are converted.
Read = Callable[[Any], Converted]


def import_skl2onnx() -> Any:
    """Import the module, or raise an ImportError that says how to install it."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "Exporting to ONNX needs skl2onnx: pip install skobd[onnx]. To deploy without it, see "
            "to_sklearn() and to_c()."
        ) from error
    return skl2onnx


def register(read: Read, *classes: Any) -> None:
    """Tell skl2onnx how estimators of these classes are converted."""
    skl2onnx = import_skl2onnx()
    for kind in classes:
        if is_classifier(kind()):
            options = _CLASSIFIER_OPTIONS
            shapes, converter = _classifier_shapes, _convert_classifier
        else:
            options, shapes, converter = None, _regressor_shapes, _convert_regressor
        skl2onnx.update_registered_converter(
            kind,
            f"Skobd{kind.__name__}",
            partial(shapes, read),
            partial(converter, read),
            options=options,
        )


def register_selector(support: Callable[[Any], Indices], kind: Any) -> None:
    """Tell skl2onnx that a class returns the columns that ``support`` reads from its objects."""

    def shapes(operator: Any) -> None:
        n_rows = operator.inputs[0].get_first_dimension()
        n_columns = len(support(operator.raw_operator))
        operator.outputs[0].type = _tensor_type(operator)([n_rows, n_columns])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        graph = _Graph(scope, operator, container)
        columns = graph.constant(support(operator.raw_operator), np.int64)
        output = operator.outputs[0].full_name
        graph.node("Gather", graph.rows(operator), columns, axis=1, output=output)

    import_skl2onnx().update_registered_converter(kind, f"Skobd{kind.__name__}", shapes, convert)


def register_parser(kind: Any, parser: Any) -> None:
    """Tell skl2onnx that objects of a class are converted as what the parser finds in them."""
    import_skl2onnx().update_registered_converter(
        kind,
        f"Skobd{kind.__name__}",
        _no_shapes,
        _no_converter,
        parser=parser,
        options=_CLASSIFIER_OPTIONS,
    )


def _no_shapes(operator: Any) -> None:
    raise AssertionError("A parser leaves no operator of this class.")


def _no_converter(scope: Any, operator: Any, container: Any) -> None:
    _no_shapes(operator)


def _labels(classes: np.ndarray) -> np.ndarray:
    """Return class labels in a form of ONNX, int64 or strings."""
    if classes.dtype.kind in "OUS":
        return np.array([str(label) for label in classes])
    labels = classes.astype(np.int64)
    if (labels != classes).any():
        raise ValueError(
            f"ONNX labels are integers or strings, but classes_ are {classes.tolist()}: encode "
            "the targets with sklearn.preprocessing.LabelEncoder before fit."
        )
    return labels


def _classifier_shapes(read: Read, operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, n_rows = read(operator.raw_operator), operator.inputs[0].get_first_dimension()
    if model.is_multilabel:
        operator.outputs[0].type = Int64TensorType([n_rows, model.n_outputs])
    elif _labels(model.classes).dtype.kind == "U":
        operator.outputs[0].type = StringTensorType([n_rows])
    else:
        operator.outputs[0].type = Int64TensorType([n_rows])
    operator.outputs[1].type = _tensor_type(operator)([n_rows, len(model.classes)])


def _regressor_shapes(read: Read, operator: Any) -> None:
    model, n_rows = read(operator.raw_operator), operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = _tensor_type(operator)([n_rows, model.n_outputs])


def _tensor_type(operator: Any) -> Any:
    """Return the type of the outputs: double for double input, else float."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    is_double = any(isinstance(variable.type, DoubleTensorType) for variable in operator.inputs)
    return DoubleTensorType if is_double else FloatTensorType


class _Graph:
    """Builder of nodes; every method returns the name of its output."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        from onnx import TensorProto

        self._scope, self._container = scope, container
        is_double = _tensor_type(operator).__name__.startswith("Double")
        self.type = TensorProto.DOUBLE if is_double else TensorProto.FLOAT
        self.dtype = np.float64 if is_double else np.float32

    def constant(self, values: Any, dtype: Any = None) -> str:
        from onnx import TensorProto

        values = np.asarray(values, dtype=dtype or self.dtype)
        kinds = {"i": TensorProto.INT64, "U": TensorProto.STRING, "f": self.type}
        name = self._scope.get_unique_variable_name("skobd_constant")
        flat = values.ravel().tolist()
        if values.dtype.kind == "U":
            flat = [text.encode("utf-8") for text in flat]
        self._container.add_initializer(name, kinds[values.dtype.kind], values.shape, flat)
        return name

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        output = output or self._scope.get_unique_variable_name(f"skobd_{kind.lower()}")
        self._container.add_node(
            kind,
            list(inputs),
            output,
            op_domain="",
            op_version=13,
            name=self._scope.get_unique_operator_name(f"skobd_{kind}"),
            **attributes,
        )
        return output

    def rows(self, operator: Any) -> str:
        """Add a node with the inputs as one array of floats."""
        columns = [self.node("Cast", given.full_name, to=self.type) for given in operator.inputs]
        return columns[0] if len(columns) == 1 else self.node("Concat", *columns, axis=1)


def _output(graph: _Graph, operator: Any, model: Converted) -> str:
    """Add the nodes of the network up to the inverse link."""
    pruned = model.pruned
    compaction = compact(pruned.network, pruned.theta, pruned.mask)
    network, inputs = compaction.network, compaction.kept_units[0]
    x = graph.rows(operator)
    if len(inputs) < pruned.network.layer_sizes[0]:
        x = graph.node("Gather", x, graph.constant(inputs, np.int64), axis=1)
    layers = network.layers(compaction.theta)
    for index, layer in enumerate(layers):
        x = graph.node("MatMul", x, graph.constant(layer[:-1]))
        x = graph.node("Add", x, graph.constant(layer[-1:]))
        if index < len(layers) - 1:
            x = graph.node(_ACTIVATIONS[network.activation], x)
    if model.link == "softmax":
        return graph.node("Softmax", x, axis=1)
    return graph.node(_LINKS[model.link], x)


def _convert_regressor(read: Read, scope: Any, operator: Any, container: Any) -> None:
    graph, model = _Graph(scope, operator, container), read(operator.raw_operator)
    graph.node("Identity", _output(graph, operator, model), output=operator.outputs[0].full_name)


def _convert_classifier(read: Read, scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    graph, model = _Graph(scope, operator, container), read(operator.raw_operator)
    p = _output(graph, operator, model)
    label, probabilities = (variable.full_name for variable in operator.outputs)
    if model.n_outputs == 1:
        complement = graph.node("Sub", graph.constant(1.0), p)
        p = graph.node("Concat", complement, p, axis=1)
    graph.node("Identity", p, output=probabilities)
    if model.is_multilabel:
        above = graph.node("Greater", p, graph.constant(0.5))
        graph.node("Cast", above, output=label, to=TensorProto.INT64)
        return
    index = graph.node("ArgMax", p, axis=1, keepdims=0)
    labels = _labels(model.classes)
    graph.node("Gather", graph.constant(labels, labels.dtype), index, output=label, axis=0)
