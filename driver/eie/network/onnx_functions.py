"""Functions of an ONNX model, its own and ONNX's, replaced by their nodes."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from typing import Any


def expanded(model: Any, known: Collection[str]) -> Any:
    """Replace functions, the file's own and ONNX's where `known` lacks the operator, by their nodes."""
    from onnx import defs, inliner

    if model.functions:
        model = inliner.inline_local_functions(model)
    if "inline_schema_functions" not in inspect.signature(inliner.inline_selected_functions).parameters:
        return model
    found: set[tuple[str, str]] = set()
    while (left := _functions(model, known)) and left != found:  # bodies may hold functions in turn
        found = left
        for node in _nodes(model.graph):
            if (node.domain, node.op_type) in found:
                _complete(node, defs.get_schema(node.op_type, domain=node.domain))
        model = inliner.inline_selected_functions(_with_types(model), list(found), inline_schema_functions=True)
    return model


def _functions(model: Any, known: Collection[str]) -> set[tuple[str, str]]:
    """Return domains and names of a model's operators that are functions of ONNX, and not known."""
    from onnx import defs

    unknown = {(node.domain, node.op_type) for node in _nodes(model.graph) if node.op_type not in known}
    return {(domain, name) for domain, name in unknown if defs.has(name, domain) and _has_body(name, domain)}


def _with_types(model: Any) -> Any:
    """Return a model with the type of every tensor written out: bodies of some functions follow from their inputs'."""
    from onnx import TensorProto, helper, shape_inference

    model = shape_inference.infer_shapes(model)
    # onnx's inliner wants a type of inputs that are not given, too.
    model.graph.value_info.append(helper.make_tensor_value_info("", TensorProto.FLOAT, None))
    for graph in graphs_of(model.graph):
        known = {value.name for value in (*graph.input, *graph.output, *graph.value_info)}
        graph.value_info.extend(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in graph.initializer
            if tensor.name not in known
        )
    return model


def _complete(node: Any, schema: Any) -> None:
    """Write a node's default attributes out: onnx's inliner takes what is not written for not given."""
    from onnx import AttributeProto

    given = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.type != AttributeProto.UNDEFINED:
            node.attribute.append(attribute.default_value)


def _has_body(name: str, domain: str) -> bool:
    from onnx import defs

    schema: Any = defs.get_schema(name, domain=domain)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _nodes(graph: Any) -> Iterable[Any]:
    for inner in graphs_of(graph):
        yield from inner.node


def graphs_of(graph: Any) -> Iterable[Any]:
    """Yield a graph and all that its nodes hold."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)
