"""Other forms of ONNX's operators, brought to the newest: what was an attribute has become an input, and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Attributes = dict[str, Any]
Constant = Callable[[Any], str]
"""Enters an array into the graph and returns its name."""

_AXES_AS_INPUT = {
    "Squeeze": 13,
    "Unsqueeze": 13,
    "ReduceSum": 13,
    **dict.fromkeys(
        ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare"), 18
    ),
}
"""Version from which axes are the second input."""
_IGNORED = {
    "BatchNormalization": ("consumed_inputs", "spatial", "is_test"),
    "Dropout": ("is_test", "ratio", "consumed_inputs"),
    "Upsample": (),
    "Reshape": ("consumed_inputs",),
}
"""Attributes that say nothing of inference."""


def modernise(
    operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant
) -> tuple[str, list[str], Attributes]:
    """Return operator, inputs and attributes of a node in the newest form.

    Parameters
    ----------
    operator : str
    version : int
        The operator set that the file imports.
    inputs : list of str
    attributes : dict
    constant : callable
        See `Constant`.
    """
    inputs, attributes = list(inputs), dict(attributes)
    for name in _IGNORED.get(operator, ()):
        attributes.pop(name, None)
    if operator in _AXES_AS_INPUT and version < _AXES_AS_INPUT[operator]:
        axes = attributes.pop("axes", None)
        inputs = inputs[:1] + ([constant(np.array(axes, np.int64))] if axes is not None else [])
    elif operator in _REWRITES:
        operator, inputs, attributes = _REWRITES[operator](operator, version, inputs, attributes, constant)
    return operator, inputs, attributes


def plain_ml(model: Any) -> None:
    """Bring what scikit-learn's exporter takes from ai.onnx.ml to plain operators, in a protobuf model.

    Scaler is a difference and a product. ZipMap makes dicts of probabilities, by class: they stay an array.
    """
    from onnx import TensorProto, helper

    if all(node.domain != "ai.onnx.ml" for node in model.graph.node):
        return
    outputs = {value.name: value for value in model.graph.output}
    nodes = []
    for node in model.graph.node:
        kind = node.op_type if node.domain == "ai.onnx.ml" else None
        if kind == "Scaler":
            nodes += _scaler(node, model.graph)
        elif kind == "ZipMap":
            nodes.append(helper.make_node("Identity", node.input, node.output, node.name))
            for name in outputs.keys() & set(node.output):
                outputs[name].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        else:
            nodes.append(node)
    kept = [_copy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _scaler(node: Any, graph: Any) -> list[Any]:
    from onnx import TensorProto, helper, numpy_helper

    given = {a.name: np.array(a.floats, np.float32) for a in node.attribute}
    name = node.output[0]
    parts = {"offset": given.get("offset", np.zeros(1)), "scale": given.get("scale", np.ones(1))}
    for part, values in parts.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), f"{name}:{part}"))
    return [
        helper.make_node("Cast", node.input, [f"{name}:float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", [f"{name}:float", f"{name}:offset"], [f"{name}:centred"]),
        helper.make_node("Mul", [f"{name}:centred", f"{name}:scale"], node.output, node.name),
    ]


def _copy(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def _move(inputs: list[str], place: int, name: str) -> list[str]:
    """Put an input at a place, with absent ones before it."""
    return inputs + [""] * (place - len(inputs)) + [name]


def _clip(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    for place, name in ((1, "min"), (2, "max")):
        if name in attributes:
            inputs = _move(inputs, place, constant(np.float32(attributes.pop(name))))
    return operator, inputs, attributes


def _slice(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    for place, name in ((1, "starts"), (2, "ends"), (3, "axes")):
        if name in attributes:
            inputs = _move(inputs, place, constant(np.array(attributes.pop(name), np.int64)))
    return operator, inputs, attributes


def _pad(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "pads" in attributes:
        inputs = _move(inputs, 1, constant(np.array(attributes.pop("pads"), np.int64)))
        inputs = _move(inputs, 2, constant(np.float32(attributes.pop("value", 0.0))))
    return operator, inputs, attributes


def _split(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "split" in attributes:
        inputs = _move(inputs, 1, constant(np.array(attributes.pop("split"), np.int64)))
    return operator, inputs, attributes


def _upsample(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if "scales" in attributes:
        inputs = _move(inputs[:1], 1, constant(np.array(attributes.pop("scales"), np.float32)))
    nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return "Resize", [inputs[0], "", inputs[1]], {**attributes, **nearest}


def _resize(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 11:
        return _upsample(operator, version, inputs, attributes, constant)
    return operator, inputs, attributes


def _softmax(operator: str, version: int, inputs: list[str], attributes: Attributes, constant: Constant) -> Any:
    if version < 13:
        # Everything from the axis on was normalised together.
        attributes = {**attributes, "axis": attributes.get("axis", 1), "flattened": 1}
    return operator, inputs, attributes


_REWRITES: dict[str, Callable[..., Any]] = {
    "Clip": _clip,
    "Slice": _slice,
    "Pad": _pad,
    "Split": _split,
    "Upsample": _upsample,
    "Resize": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
