"""Conversion to ONNX through skl2onnx (extra ``onnx``), whole pipelines included.

What is converted is the compacted network: dead inputs are left out by a Gather, then every
layer is a MatMul, an Add and the activation.
"""

from typing import Any

import numpy as np

from .._net.compaction import compact
from .._net.pruned import PrunedNetwork

_CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}
_ACTIVATIONS = {"identity": "Identity", "logistic": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
_LINKS = {"identity": "Identity", "logistic": "Sigmoid", "exp": "Exp"}


def import_skl2onnx() -> Any:
    """The module, or an ImportError that says how to install it."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "Exporting to ONNX needs skl2onnx: pip install skobd[onnx]. To deploy without it, see "
            "to_sklearn() and to_c()."
        ) from error
    return skl2onnx


def register(*classes: Any) -> None:
    """Tell skl2onnx how estimators of these classes are converted."""
    skl2onnx = import_skl2onnx()
    for kind in classes:
        if kind._is_classifier:
            options = _CLASSIFIER_OPTIONS
            shapes, converter = _classifier_shapes, _convert_classifier
        else:
            options, shapes, converter = None, _regressor_shapes, _convert_regressor
        name = f"Skobd{kind.__name__}"
        skl2onnx.update_registered_converter(kind, name, shapes, converter, options=options)


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


def _is_multilabel(model: Any) -> bool:
    return model._label_binarizer.y_type_.startswith("multilabel")


def _labels(model: Any) -> np.ndarray:
    """Class labels as ONNX can hold them: int64 or strings."""
    classes = model.classes_
    if classes.dtype.kind in "OUS":
        return np.array([str(label) for label in classes])
    labels = classes.astype(np.int64)
    if (labels != classes).any():
        raise ValueError(
            f"ONNX labels are integers or strings, but classes_ are {classes.tolist()}: encode "
            "the targets with sklearn.preprocessing.LabelEncoder before fit."
        )
    return labels


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    model, n_rows = operator.raw_operator, operator.inputs[0].get_first_dimension()
    if _is_multilabel(model):
        operator.outputs[0].type = Int64TensorType([n_rows, model.n_outputs_])
    elif _labels(model).dtype.kind == "U":
        operator.outputs[0].type = StringTensorType([n_rows])
    else:
        operator.outputs[0].type = Int64TensorType([n_rows])
    operator.outputs[1].type = _tensor_type(operator)([n_rows, len(model.classes_)])


def _regressor_shapes(operator: Any) -> None:
    n_rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = _tensor_type(operator)([n_rows, operator.raw_operator.n_outputs_])


def _tensor_type(operator: Any) -> Any:
    """Type of the outputs: double for double input, else float."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    is_double = any(isinstance(variable.type, DoubleTensorType) for variable in operator.inputs)
    return DoubleTensorType if is_double else FloatTensorType


class _Graph:
    """Adds nodes one after the other; every method returns the name of its output."""

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


def _output(graph: _Graph, operator: Any) -> str:
    """Nodes of the network up to the inverse link."""
    model = operator.raw_operator
    pruned: PrunedNetwork = model._fitted.pruned
    compaction = compact(pruned.network, pruned.theta, pruned.mask)
    network, inputs = compaction.network, compaction.kept[0]
    columns = [graph.node("Cast", v.full_name, to=graph.type) for v in operator.inputs]
    x = columns[0] if len(columns) == 1 else graph.node("Concat", *columns, axis=1)
    if len(inputs) < model.n_features_in_:
        x = graph.node("Gather", x, graph.constant(inputs, np.int64), axis=1)
    layers = network.layers(compaction.theta)
    for index, layer in enumerate(layers):
        x = graph.node("MatMul", x, graph.constant(layer[:-1]))
        x = graph.node("Add", x, graph.constant(layer[-1:]))
        if index < len(layers) - 1:
            x = graph.node(_ACTIVATIONS[network.activation], x)
    link = model.out_activation_
    if link == "softmax":
        return graph.node("Softmax", x, axis=1)
    return graph.node(_LINKS[link], x)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, operator, container)
    graph.node("Identity", _output(graph, operator), output=operator.outputs[0].full_name)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    graph, model = _Graph(scope, operator, container), operator.raw_operator
    p = _output(graph, operator)
    label, probabilities = (variable.full_name for variable in operator.outputs)
    if model.n_outputs_ == 1:
        complement = graph.node("Sub", graph.constant(1.0), p)
        p = graph.node("Concat", complement, p, axis=1)
    graph.node("Identity", p, output=probabilities)
    if _is_multilabel(model):
        above = graph.node("Greater", p, graph.constant(0.5))
        graph.node("Cast", above, output=label, to=TensorProto.INT64)
        return
    index = graph.node("ArgMax", p, axis=1, keepdims=0)
    labels = _labels(model)
    graph.node("Gather", graph.constant(labels, labels.dtype), index, output=label, axis=0)
