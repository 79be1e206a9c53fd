"""Graphs that are no more than a chain of fully connected layers, which an array computes without the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eie.network.graph import Graph, Node, Value, constant_values, count_uses
from eie.network.limits import fitting_name
from eie.network.model import Dense
from eie.network.operators import LINEAR


def as_chain(graph: Graph) -> list[Dense] | None:
    """Return the layers of a graph that takes (batch, features) and is a chain of them, or None if it is more.

    Parameters
    ----------
    graph : Graph
        A simple one, see `eie.network.simplify`. It may flatten its input first: the chain then takes it flat.
    """
    nodes = _path(graph)
    if nodes is None:
        return None
    nodes = nodes[1:] if nodes and _flattens(nodes[0], graph) else nodes
    shape = graph.inputs[0].shape
    if shape is not None and len(shape) > 2 and len(nodes) == len(graph.nodes):
        return None
    layers: list[Dense] = []
    for node in nodes:
        if node.operator == "Relu" and layers and layers[-1].activation is None:
            last = layers.pop()
            layers.append(Dense(last.weight, last.bias, "relu", last.name))
            continue
        layer = _layer(node, graph)
        if layer is None:
            return None
        layers.append(layer)
    return layers or None


def as_graph(layers: Sequence[Dense]) -> tuple[Graph, set[str]]:
    """Return a chain as a graph of its linear maps, and those of them, by their output, that have a ReLU behind them.

    The maps have the layers' names.
    """
    ends = ["x", *(f"y{i}" for i in range(len(layers)))]
    nodes: list[Node] = []
    constants: dict[str, Any] = {}
    fused: set[str] = set()
    for i, (layer, data, end) in enumerate(zip(layers, ends, ends[1:])):  # noqa: B905 - one end more
        of_layer = {f"w{i}": layer.weight} | ({} if layer.bias is None else {f"b{i}": layer.bias})
        nodes.append(Node("Gemm", (data, *of_layer), (end,), {"transB": 1}, layer.name))
        constants |= of_layer
        if layer.activation == "relu":
            fused.add(end)
    return Graph(nodes, [Value(ends[0])], [Value(ends[-1])], constants), fused


def _path(graph: Graph) -> list[Node] | None:
    """Return the nodes if each takes what the one before gives and nothing else that is not constant."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return None
    uses, value = count_uses(graph), graph.inputs[0].name
    for node in graph.nodes:
        data = [name for name in node.inputs if name and name not in graph.constants]
        if data != [value] or uses[value] != 1 or len([name for name in node.outputs if name]) != 1:
            return None
        value = node.outputs[0]
    return list(graph.nodes) if value == graph.outputs[0].name else None


def _flattens(node: Node, graph: Graph) -> bool:
    if node.operator == "Flatten":
        return bool(node.attributes["axis"] == 1)
    if node.operator != "Reshape" or node.inputs[1] not in graph.constants:
        return False
    target = graph.constants[node.inputs[1]].tolist()
    batch = graph.inputs[0].shape[0] if graph.inputs[0].shape else None
    return len(target) == 2 and (target[0] in (0, batch) or target[1] == _features(graph))


def _features(graph: Graph) -> int | None:
    """Return the size of an input without its batch, if the graph fixes it."""
    features = 1
    for size in (graph.inputs[0].shape or (None, None))[1:]:
        if not isinstance(size, int):
            return None
        features *= size
    return features


def _layer(node: Node, graph: Graph) -> Dense | None:
    """Return the layer of a product with the data on its left, else None."""
    if node.operator not in ("Gemm", "MatMul") or node.attributes.get("transA"):
        return None
    values: list[Any] = constant_values(node, graph.constants)
    linear = LINEAR[node.operator]
    weights = linear.weights(values, node.attributes)
    if weights is None or values[0] is not None or len(weights) != sum(map(bool, node.inputs)) - 1:
        return None
    if values[1].ndim != 2 or values[1].dtype.kind != "f":
        return None
    (matrix,) = linear.matrices(values, linear.prepare(values, node.attributes))
    return Dense(matrix.weight, matrix.bias, None, fitting_name(node.name or node.outputs[0]))
