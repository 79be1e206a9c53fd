"""Node tests whose inputs or outputs are sequences or optional values, as tests of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def with_tensors(case: Any) -> tuple[onnx.ModelProto, list[Any], list[Any]]:
    """Return a case's model, inputs and outputs: a sequence is made of its tensors, or its length and tensors follow.

    An optional value without a tensor stays what it is.
    """
    graph, (inputs, outputs) = case.model.graph, case.data_sets[0]
    if all(value.type.HasField("tensor_type") for value in (*graph.input, *graph.output)):
        return case.model, [_array(x) for x in inputs], [_array(y) for y in outputs]
    before, given = list[Any](), dict[str, Any]()
    kept = []
    for value, x in zip(graph.input, inputs, strict=True):
        if value.type.HasField("tensor_type") or x is None:
            kept.append(value)
            given[value.name] = _array(x)
        else:
            given.update(_made(value, x, before))
    after, wanted = list[Any](), dict[str, Any]()
    for value, y in zip(graph.output, outputs, strict=True):
        wanted.update(_taken_apart(value, y, after))
    known = {value.name for value in kept}
    nodes = [*before, *graph.node, *after]
    values = [_value(name, x) for name, x in given.items() if name not in known]
    whole = helper.make_graph(
        nodes, graph.name, [*kept, *values], [_value(*pair) for pair in wanted.items()], graph.initializer
    )
    order = {value.name: i for i, value in enumerate(whole.input)}
    model = helper.make_model(whole, opset_imports=case.model.opset_import, ir_version=8)
    return model, [given[name] for name in order], list(wanted.values())


def _made(value: Any, x: Any, nodes: list[Any]) -> dict[str, Any]:
    """Add what makes a sequence or an optional value of tensors, and return these."""
    parts = {f"{value.name}_{i}": _array(part) for i, part in enumerate(x if isinstance(x, (list, tuple)) else [x])}
    (name,) = made = [value.name]
    optional = value.type.HasField("optional_type")
    if isinstance(x, (list, tuple)):
        made = [f"{name}_all"] if optional else made
        nodes.append(helper.make_node("SequenceConstruct" if parts else "SequenceEmpty", list(parts), made))
    else:
        made = list(parts)
    if optional:
        nodes.append(helper.make_node("Optional", made, [name]))
    return parts


def _taken_apart(value: Any, y: Any, nodes: list[Any]) -> dict[str, Any]:
    """Add what takes a sequence or an optional value apart, and return what comes of it."""
    name = value.name
    if value.type.HasField("optional_type"):
        nodes.append(helper.make_node("OptionalGetElement", [name], [f"{name}_given"]))
        name = f"{name}_given"
    if not isinstance(y, (list, tuple)):
        return {name: _array(y)}
    nodes.append(helper.make_node("SequenceLength", [name], [f"{name}_length"]))
    found = {f"{name}_length": np.array(len(y))}
    for i, part in enumerate(y):
        place = numpy_helper.from_array(np.array(i), "")
        nodes.append(helper.make_node("Constant", [], [f"{name}_at_{i}"], value=place))
        nodes.append(helper.make_node("SequenceAt", [name, f"{name}_at_{i}"], [f"{name}_{i}"]))
        found[f"{name}_{i}"] = _array(part)
    return found


def _array(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value if value is None else np.asarray(value)


def _value(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
