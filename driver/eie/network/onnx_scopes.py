"""Names of tensors in an ONNX model, apart from one graph to another: what is known of a tensor goes by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def name_apart(model: Any) -> None:
    """Rename tensors of branches and bodies whose name another graph of the model has too.

    ONNX forbids that only where one graph could see both.
    """
    taken = set(_own(model.graph))
    for node in model.graph.node:
        _rename_branches(node, {}, taken)


def _own(graph: Any) -> dict[str, None]:
    """Return the names of what a graph makes or is given, in order."""
    values = [*graph.input, *graph.initializer, *(tensor.values for tensor in graph.sparse_initializer)]
    names = [value.name for value in values] + [name for node in graph.node for name in node.output]
    return dict.fromkeys(name for name in names if name)


def _rename_branches(node: Any, names: Mapping[str, str], taken: set[str]) -> None:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            _rename(attribute.g, names, taken)


def _rename(graph: Any, outer: Mapping[str, str], taken: set[str]) -> None:
    """Rename a branch's own tensors, and those around it that have new names."""
    names = {**outer, **{name: _free(name, taken) for name in _own(graph)}}
    sparse = (tensor.values for tensor in graph.sparse_initializer)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer, *sparse):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
        _rename_branches(node, names, taken)


def _free(name: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}:{number}"
    taken.add(found)
    return found
