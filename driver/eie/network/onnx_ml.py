"""What scikit-learn's exporter takes from ai.onnx.ml, brought to plain operators in a protobuf model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_parts import OWN_DOMAIN, import_domain, set_nodes

_TRANSFORMS = {"NONE": "Identity", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}
_NORMS = {"L1": 1, "L2": 2}


def plain_ml(model: Any) -> None:
    """Replace the operators of ai.onnx.ml that have plain ones.

    Scaler is a difference and a product, the linear models are a Gemm and what follows it. ZipMap makes dicts of
    probabilities, by class: they stay an array. An input of texts that are numbered first becomes one of the numbers.
    """
    from onnx import TensorProto, helper

    if all(node.domain != "ai.onnx.ml" for node in model.graph.node):
        return
    _begin_with_numbers(model.graph)
    outputs = {value.name: value for value in model.graph.output}
    nodes = []
    for node in model.graph.node:
        kind = node.op_type if node.domain == "ai.onnx.ml" else None
        if kind in _PARTS:
            try:
                nodes += _PARTS[kind](node, model.graph)
            except NetworkError as error:
                raise NetworkError(f"{kind} node {node.name or node.output[0]!r}: {error}") from error
        elif kind == "ZipMap":
            nodes.append(helper.make_node("Identity", node.input, node.output, node.name))
            for name in outputs.keys() & set(node.output):
                outputs[name].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        else:
            nodes.append(node)
    set_nodes(model.graph, nodes)
    import_domain(model, OWN_DOMAIN)


def _begin_with_numbers(graph: Any) -> None:
    """Drop the encoders of texts that the network is given: it takes what they give, under their outputs' names."""
    from onnx import TensorProto, helper

    texts = {value.name: value for value in graph.input if value.type.tensor_type.elem_type == TensorProto.STRING}
    readers = [node for node in graph.node if not texts.keys().isdisjoint(node.input)]
    if any(node.op_type != "LabelEncoder" or node.domain != "ai.onnx.ml" for node in readers):
        return
    for node in readers:
        sizes = [d.dim_param or d.dim_value or None for d in texts[node.input[0]].type.tensor_type.shape.dim]
        given = _attributes(node)  # the oldest form has classes alone, and gives their places
        kind = TensorProto.FLOAT if "values_floats" in given else TensorProto.INT64
        kind = given["values_tensor"].data_type if "values_tensor" in given else kind
        graph.input.append(helper.make_tensor_value_info(node.output[0], kind, sizes))
        graph.node.remove(node)
    for value in texts.values():
        graph.input.remove(value)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _constant(graph: Any, name: str, values: Any) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def _as_floats(node: Any) -> tuple[Any, str]:
    from onnx import TensorProto, helper

    name = f"{node.output[0]}:float"
    return helper.make_node("Cast", node.input, [name], to=TensorProto.FLOAT), name


def _scaler(node: Any, graph: Any) -> list[Any]:
    from onnx import helper

    given, name = _attributes(node), node.output[0]
    offset = _constant(graph, f"{name}:offset", np.array(given.get("offset", [0]), np.float32))
    scale = _constant(graph, f"{name}:scale", np.array(given.get("scale", [1]), np.float32))
    cast, floats = _as_floats(node)
    return [
        cast,
        helper.make_node("Sub", [floats, offset], [f"{name}:centred"]),
        helper.make_node("Mul", [f"{name}:centred", scale], node.output, node.name),
    ]


def _imputer(node: Any, graph: Any) -> list[Any]:
    from onnx import helper

    given, name = _attributes(node), node.output[0]
    values = given.get("imputed_value_floats")
    if not values:
        raise NetworkError("it has no imputed_value_floats; of floats alone missing values are replaced")
    missing = float(given.get("replaced_value_float", 0.0))
    imputed = _constant(graph, f"{name}:imputed", np.array(values, np.float32))
    cast, floats = _as_floats(node)
    if np.isnan(missing):
        test = helper.make_node("IsNaN", [floats], [f"{name}:missing"])
    else:
        test = helper.make_node(
            "Equal", [floats, _constant(graph, f"{name}:replaced", np.float32(missing))], [f"{name}:missing"]
        )
    return [cast, test, helper.make_node("Where", [f"{name}:missing", imputed, floats], node.output, node.name)]


def _normalizer(node: Any, graph: Any) -> list[Any]:
    from onnx import helper

    norm, name = _attributes(node).get("norm", "MAX"), node.output[0]
    cast, floats = _as_floats(node)
    if norm in _NORMS:
        return [cast, helper.make_node("LpNormalization", [floats], node.output, node.name, axis=-1, p=_NORMS[norm])]
    if norm != "MAX":
        raise NetworkError(f"norm {norm!r} is not supported; MAX, {', '.join(_NORMS)} are")
    last = _constant(graph, f"{name}:last", np.array([-1], np.int64))
    zero, one = (_constant(graph, f"{name}:{value}", np.float32(value)) for value in (0, 1))
    return [  # the largest, not the largest magnitude; a row whose largest is 0 stays
        cast,
        helper.make_node("ReduceMax", [floats, last], [f"{name}:largest"], domain=OWN_DOMAIN),
        helper.make_node("Equal", [f"{name}:largest", zero], [f"{name}:none"]),
        helper.make_node("Where", [f"{name}:none", one, f"{name}:largest"], [f"{name}:unit"]),
        helper.make_node("Div", [floats, f"{name}:unit"], node.output, node.name),
    ]


def _binarizer(node: Any, graph: Any) -> list[Any]:
    from onnx import TensorProto, helper

    name = node.output[0]
    threshold = _constant(graph, f"{name}:threshold", np.float32(_attributes(node).get("threshold", 0.0)))
    cast, floats = _as_floats(node)
    above = helper.make_node("Greater", [floats, threshold], [f"{name}:above"])
    return [cast, above, helper.make_node("Cast", [f"{name}:above"], node.output, node.name, to=TensorProto.FLOAT)]


def _one_hot(node: Any, graph: Any) -> list[Any]:
    """What is in no category is hot nowhere, which is an error in ONNX Runtime if `zeros` is 0."""
    from onnx import TensorProto, helper

    categories, name = _attributes(node).get("cats_int64s"), node.output[0]
    if not categories:
        raise NetworkError("its categories are texts; integers are supported")
    behind = _constant(graph, f"{name}:behind", np.array([-1], np.int64))
    each = _constant(graph, f"{name}:categories", np.array(categories, np.int64))
    return [
        helper.make_node("Cast", node.input, [f"{name}:integers"], to=TensorProto.INT64),
        helper.make_node("Unsqueeze", [f"{name}:integers", behind], [f"{name}:one"], domain=OWN_DOMAIN),
        helper.make_node("Equal", [f"{name}:one", each], [f"{name}:hot"]),
        helper.make_node("Cast", [f"{name}:hot"], node.output, node.name, to=TensorProto.FLOAT),
    ]


def _scores(node: Any, graph: Any, given: dict[str, Any], rows: int, output: str) -> list[Any]:
    """Return the nodes of a linear model's products, biases and what they go through."""
    from onnx import helper

    transform = given.get("post_transform", "NONE")
    if transform not in _TRANSFORMS:
        raise NetworkError(f"post_transform {transform!r} is not supported; {', '.join(_TRANSFORMS)} are")
    coefficients = np.array(given.get("coefficients", []), np.float32)
    if not coefficients.size or coefficients.size % rows:
        raise NetworkError(f"{coefficients.size} coefficients do not divide into {rows} rows")
    name = node.output[0]
    weight = _constant(graph, f"{name}:coefficients", coefficients.reshape(rows, -1))
    bias = np.array(given.get("intercepts") or np.zeros(rows), np.float32)
    if bias.shape != (rows,):
        raise NetworkError(f"there are {bias.size} intercepts for {rows} rows of coefficients")
    cast, floats = _as_floats(node)
    inputs = [floats, weight, _constant(graph, f"{name}:intercepts", bias)]
    return [
        cast,
        helper.make_node("Gemm", inputs, [f"{name}:sums"], node.name or name, transB=1),
        helper.make_node(_TRANSFORMS[transform], [f"{name}:sums"], [output]),
    ]


def _linear_regressor(node: Any, graph: Any) -> list[Any]:
    given = _attributes(node)
    return _scores(node, graph, given, int(given.get("targets", 1)), node.output[0])


def _linear_classifier(node: Any, graph: Any) -> list[Any]:
    from onnx import helper

    given = _attributes(node)
    numbers, texts = given.get("classlabels_ints", []), given.get("classlabels_strings", [])
    labels = np.array(numbers, np.int64) if numbers else np.array([text.decode() for text in texts], object)
    intercepts = len(given.get("intercepts") or labels)
    if len(labels) < 2 or intercepts != len(labels):
        raise NetworkError(f"{intercepts} rows of coefficients for {len(labels)} classes are not supported")
    name, scores = node.output[0], node.output[1] if len(node.output) > 1 else f"{node.output[0]}:scores"
    best, classes = f"{name}:best", _constant(graph, f"{name}:classes", labels)
    return [
        *_scores(node, graph, given, len(labels), scores),
        helper.make_node("ArgMax", [scores], [best], axis=1, keepdims=0),
        helper.make_node("Gather", [classes, best], [name]),
    ]


_PARTS: dict[str | None, Callable[[Any, Any], list[Any]]] = {
    "Scaler": _scaler,
    "Imputer": _imputer,
    "Normalizer": _normalizer,
    "Binarizer": _binarizer,
    "OneHotEncoder": _one_hot,
    "LinearRegressor": _linear_regressor,
    "LinearClassifier": _linear_classifier,
}
