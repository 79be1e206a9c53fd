"""The linear maps of a graph: found, joined with the ReLU behind them, and put in chains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eie.network.cells import STATE_BITS
from eie.network.graph import ABSENT, LOOPS, Array, Graph, Node, constant_values, count_uses
from eie.network.graph_model import ArrayProduct
from eie.network.limits import fitting_name
from eie.network.model import Model
from eie.network.operators import LINEAR
from eie.network.operators.gates import array_cell, gate_names
from eie.network.operators.linear import Matrix
from eie.network.operators.recurrent import RECURRENT
from eie.network.quantised import Grid, Stage, data_grid, integer_rows, stage_behind

_ROWS = ("Gemm", "MatMul")
_FUSED = (*_ROWS, "Conv", "ConvTranspose")
_KEEP_SMALL = (
    *("Abs", "Neg", "Relu", "Sqrt", "Pow", "Mul", "Div", "ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Concat", "Gather", "Pad", "Expand"),
    "Cast",
)
"""Operators behind which small values are as small as before, or more so."""
_LIMIT = ("Add", "Max", "Clip")
"""Those that keep values above a constant, or add it."""
_TINY = 1e-3
"""Constants that only keep a logarithm from infinity are below it."""


@dataclass(frozen=True)
class LinearNode:
    """A node whose products are the array's.

    Parameters
    ----------
    node : Node
    attributes : dict
        The node's, complete without its weights.
    weights : tuple of int
        Inputs that the matrices hold.
    matrices : list of Matrix
    names : list of str
        A name for each matrix.
    data : str
        The tensor that is multiplied.
    grid : Grid or None
        On which its values lie, if both data and weights are quantised.
    stage : Stage or None
        What then quantises the outputs.
    """

    node: Node
    attributes: dict[str, Any]
    weights: tuple[int, ...]
    matrices: list[Matrix]
    names: list[str]
    data: str
    grid: Grid | None
    stage: Stage | None = None

    def with_attributes(self) -> Node:
        """Return the node with the attributes that say what its weights would."""
        return replace(self.node, attributes=self.attributes)

    def without_weights(self, values: list[Array | None]) -> list[Array | None]:
        """Return values of the node's inputs without those that the matrices hold."""
        return [None if i in self.weights else x for i, x in enumerate(values)]


def linear_nodes(
    graph: Graph, outer: Mapping[str, Array] | None = None, cells: Mapping[str, tuple[str, int] | None] | None = None
) -> dict[str, LinearNode]:
    """Return a graph's linear maps, those of branches and loops too, by the name of their node's first output.

    Recurrent layers within a loop are left to the host.

    Those whose outputs a logarithm reads are left to the host: in 16 bits the smallest would be 0, and their logarithm
    minus infinity, which is what spectra of near silence come to. Powers, tiny limits and the like in between change
    nothing of that.

    Parameters
    ----------
    graph : Graph
    outer : mapping of str to ndarray, optional
        Constants around it.
    cells : mapping of str to (str, int) or None, optional
        Of recurrent nodes that the array computes by itself, by such a name, the kind of cell and the fraction bits of
        their inputs; None of one that it is not to compute so.
    """
    known = cells or {}
    constants = {**(outer or {}), **graph.constants}
    makers = {name: node for node in graph.nodes for name in node.outputs}
    logarithms = _read_by_logarithms(graph, makers, constants)
    found: dict[str, LinearNode] = {}
    taken: set[str] = set()
    for node in graph.nodes:
        for branch in node.branches:
            inner = linear_nodes(branch, constants, known)
            if node.operator in LOOPS:
                inner = {key: linear for key, linear in inner.items() if linear.node.operator not in RECURRENT}
            taken.update(name for linear in inner.values() for name in linear.names)
            found.update(inner)
        weights = weights_of(node, constants)
        if weights is None or node.outputs[0] in logarithms:
            continue
        values: list[Any] = [x if i in weights else None for i, x in enumerate(constant_values(node, constants))]
        linear = LINEAR[node.operator]
        attributes = linear.prepare(values, node.attributes)
        usual = array_cell(node.operator, node.inputs, attributes)
        cell = known.get(node.outputs[0], usual and (usual, STATE_BITS))
        if cell:
            attributes = {**attributes, "cell": cell[0], "input_bits": cell[1]}
        matrices = linear.matrices(values, attributes)
        names = _names(node.name or node.outputs[0], attributes, len(matrices))
        if taken.intersection(names):
            names = _names(node.outputs[0], attributes, len(matrices))
        taken.update(names)
        data = next(name for i, name in enumerate(node.inputs) if i not in weights and name)
        grid = data_grid(data, makers, constants) if node.operator in _FUSED else None
        alone = grid is not None and node.operator in _ROWS and outer is None
        stage = stage_behind(graph, makers, constants, node.outputs[0]) if alone else None
        found[node.outputs[0]] = LinearNode(node, attributes, weights, matrices, names, data, grid, stage)
    return found


def _read_by_logarithms(graph: Graph, makers: Mapping[str, Node], constants: Mapping[str, Array]) -> set[str]:
    """Return the tensors whose smallest values matter as much as the largest: logarithms of them are computed."""
    found: set[str] = set()
    waiting = [node.inputs[0] for node in graph.nodes if node.operator == "Log"]
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if name in found or node is None:
            continue
        found.add(name)
        limits = [float(np.abs(constants[other]).max(initial=0)) for other in node.inputs[:2] if other in constants]
        if node.operator in _KEEP_SMALL or (node.operator in _LIMIT and max(limits, default=0) < _TINY):
            waiting += [other for other in node.inputs if other and other not in constants]
    return found


def _names(label: str, attributes: dict[str, Any], count: int) -> list[str]:
    """Return a name for each of a node's matrices, as long as names of layers may be."""
    if attributes.get("cell"):
        names = gate_names(label, attributes)
    else:
        names = [label] if count == 1 else [f"{label}/{i}" for i in range(count)]
    return [fitting_name(name) for name in names]


def weights_of(node: Node, constants: Mapping[str, Array]) -> tuple[int, ...] | None:
    """Return the inputs of a node that become matrices of the array; None if it is no linear map with real weights."""
    if node.operator not in LINEAR:
        return None
    values = constant_values(node, constants)
    weights = LINEAR[node.operator].weights(values, node.attributes)
    if weights is None or any(values[i].dtype.kind != "f" for i in weights):  # type: ignore[union-attr]
        return None
    return weights


def fuse_relu(graph: Graph) -> tuple[Graph, set[str]]:
    """Return a graph without the ReLUs that alone read a linear map, and the names of what such maps now put out.

    Quantised linear maps stay as they are: their integers must not be cut before the host has scaled them.
    """
    nodes: dict[str, Node] = {}
    fused: set[str] = set()
    uses = count_uses(graph)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    for node in graph.nodes:
        before = nodes.get(node.inputs[0]) if node.operator == "Relu" else None
        if before is not None and uses[node.inputs[0]] == 1 and _takes_relu(before, graph, makers):
            del nodes[node.inputs[0]]
            fused.add(node.outputs[0])
            node = replace(before, outputs=node.outputs)
        nodes[node.outputs[0]] = node
    return Graph(nodes.values(), graph.inputs, graph.outputs, graph.constants, graph.name, shapes=graph.shapes), fused


def _takes_relu(node: Node, graph: Graph, makers: dict[str, Node]) -> bool:
    """Say whether a node is one product, with nothing added by the host."""
    weights = weights_of(node, graph.constants) if node.operator in _FUSED else None
    if weights is None or len(weights) + 1 != sum(map(bool, node.inputs)):
        return False
    data = next(name for i, name in enumerate(node.inputs) if i not in weights)
    weight = graph.constants[node.inputs[weights[0]]]
    return data_grid(data, makers, graph.constants) is None or integer_rows(weight.reshape(len(weight), -1)) is None


def without_weights(graph: Graph, nodes: Mapping[str, LinearNode]) -> Graph:
    """Return a graph whose linear maps have lost their weights: their products hold them."""

    def strip(node: Node) -> Node:
        branches = {
            key: without_weights(value, nodes) if isinstance(value, Graph) else value
            for key, value in node.attributes.items()
        }
        linear = nodes.get(node.outputs[0])
        if linear is None:
            return replace(node, attributes=branches)
        inputs = [ABSENT if i in linear.weights else name for i, name in enumerate(node.inputs)]
        return replace(node, inputs=tuple(inputs), attributes=linear.attributes)

    return graph.with_nodes([strip(node) for node in graph.nodes])


def merge_chains(
    graph: Graph, products: Mapping[str, tuple[ArrayProduct, ...]], stages: Mapping[str, Stage]
) -> tuple[Graph, dict[str, tuple[ArrayProduct, ...]]]:
    """Join fully connected layers that follow one another, so that an array computes them without the host.

    `stages` are those that products compute themselves, by the name of the linear map's output.
    """
    graph, products = _without_stages(graph, products, stages)
    merged, uses = dict(products), count_uses(graph)
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        key, data = node.outputs[0], node.inputs[0] if node.inputs else ABSENT
        before = nodes.get(data)
        if before is not None and uses[data] == 1 and _by_rows(before, merged) and _by_rows(node, merged):
            joined = _joined(merged[data][0], merged[key][0])
            if joined is not None:
                del nodes[data], merged[data]
                merged[key] = (joined,)
                node = replace(before, outputs=node.outputs)
        nodes[key] = node
    return graph.with_nodes(nodes.values()), merged


def _joined(first: ArrayProduct, second: ArrayProduct) -> ArrayProduct | None:
    """Return two products as one, if the array's outputs of the first are what it takes for the second."""
    if first.input_scale is None or second.input_scale is None:
        fits = first.input_scale is None and second.input_scale is None
        fits = fits and first.model.output_fraction_bits == second.model.input_fraction_bits
    else:
        same = first.output_scales is not None and bool((first.output_scales == second.input_scale).all())
        fits = same and first.parts == 1 and first.offsets is None
    if not fits:
        return None
    model = Model((*first.model.layers, *second.model.layers), second.model.name)
    return replace(second, model=model, input_scale=first.input_scale)


def _without_stages(
    graph: Graph, products: Mapping[str, tuple[ArrayProduct, ...]], stages: Mapping[str, Stage]
) -> tuple[Graph, dict[str, tuple[ArrayProduct, ...]]]:
    """Return a graph without the nodes that its products have taken over."""
    gone = {name for stage in stages.values() for name in stage.nodes}
    ends = {key: stage.nodes[-1] for key, stage in stages.items()}
    nodes = [
        replace(node, outputs=(ends[node.outputs[0]],)) if node.outputs[0] in ends else node
        for node in graph.nodes
        if node.outputs[0] not in gone
    ]
    return graph.with_nodes(nodes), {ends.get(key, key): product for key, product in products.items()}


def _by_rows(node: Node, products: Mapping[str, tuple[ArrayProduct, ...]]) -> bool:
    """Say whether a node multiplies the rows of its input and does nothing else."""
    if node.operator not in _ROWS or node.outputs[0] not in products or node.attributes.get("transA"):
        return False
    only = [name for name in node.inputs if name] == [node.inputs[0]]
    return only and node.attributes.get("weight_rank", 2) == 2
