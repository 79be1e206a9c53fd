"""What a graph computes where: shapes and multiplications of every node, found by computing it once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from eie.network.evaluation import evaluate, run_node
from eie.network.graph import Array, Graph, Node, find_operator
from eie.network.graph_model import GraphModel, run_products
from eie.network.linear_maps import LinearNode, linear_nodes
from eie.network.operators.linear import FloatProduct, Matrix
from eie.network.reference import IntegerProduct


@dataclass(frozen=True)
class NodeReport:
    """One node.

    Parameters
    ----------
    operator, name : str
    where : {"array", "host"}
    shape : tuple of int
        Of the first output.
    multiplications : int
        Of one evaluation with the given inputs; of the array's, by weights that exist.
    weights : int
        Of the array's.
    """

    operator: str
    name: str
    where: str
    shape: tuple[int, ...]
    multiplications: int
    weights: int = 0


def inspect_graph(network: Graph | GraphModel, inputs: Mapping[str, Array]) -> list[NodeReport]:
    """Return what each node does, in the order of computing.

    Parameters
    ----------
    network : Graph or GraphModel
        A graph before compression, or one after.
    inputs : mapping of str to ndarray
        As for `eie.network.evaluation.evaluate`.
    """
    rows: dict[str, NodeReport] = {}
    maps = linear_nodes(network) if isinstance(network, Graph) else {}

    def note(node: Node, where: str, outputs: list[Array], multiplications: int, weights: int = 0) -> None:
        """Enter a node; what it does in all steps of a loop adds up."""
        before = rows.get(node.outputs[0])
        done = multiplications + (before.multiplications if before else 0)
        rows[node.outputs[0]] = NodeReport(node.operator, _name(node), where, outputs[0].shape, done, weights)

    def hook(node: Node, values: list[Array | None]) -> list[Array]:
        counted = _counters(node, network, maps)
        if counted:
            linear = maps.get(node.outputs[0])
            data = [None if linear and i in linear.weights else x for i, x in enumerate(values)]
            attributes = linear.attributes if linear else node.attributes
            outputs = run_products(Node(node.operator, (), (), attributes), data, counted)
            done = sum(product.multiplications for product in counted)
            weights = sum(product.weights for product in counted)
            note(node, "array", outputs, done, weights)
            return outputs
        operator = find_operator(node.operator)
        outputs = run_node(node, values)
        each = operator.multiplications
        if operator.where == "array":  # a product of two tensors that both are data
            first = values[0]
            each = 1 if first is None else int(first.shape[-1])
        note(node, "host", outputs, each * outputs[0].size)
        return outputs

    evaluate(network.graph if isinstance(network, GraphModel) else network, inputs, hook)
    return list(rows.values())


def _name(node: Node) -> str:
    return node.name or node.outputs[0]


class _Counted(FloatProduct):
    """A float product that counts the multiplications by weights that exist."""

    def __init__(self, matrix: Matrix) -> None:
        super().__init__(matrix)
        self.weights = matrix.weight.size // matrix.groups
        self.multiplications = 0

    def __call__(self, vectors: Array) -> Array:
        self.multiplications += len(vectors) * self.weights
        return super().__call__(vectors)


class _CountedInteger(IntegerProduct):
    """The same of a compressed product."""

    weights = multiplications = 0

    def entered(self, integers: Array) -> Array:
        self.weights = sum(layer.nonzeros for layer in self.product.model.layers)
        self.multiplications += len(integers) * self.weights
        return super().entered(integers)


def _counters(node: Node, network: Graph | GraphModel, maps: Mapping[str, LinearNode]) -> list[Any]:
    key = node.outputs[0]
    if isinstance(network, GraphModel):
        return [_CountedInteger(product) for product in network.products.get(key, ())]
    return [_Counted(matrix) for matrix in maps[key].matrices] if key in maps else []


def example_inputs(
    graph: Graph, batch: int = 1, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Array] | None:
    """Return inputs of given shapes, and for the others of the sizes that a graph fixes.

    A size with a name is what a given shape says of that name, any other open one is `batch`. None if an input's rank
    is not known.
    """
    shapes = shapes or {}
    if any(value.shape is None for value in graph.inputs if value.name not in shapes):
        return None
    sizes: dict[str, int] = {}
    for value in graph.inputs:
        pairs = zip(value.shape or (), shapes.get(value.name, ()))  # noqa: B905 - another rank is refused in evaluating
        sizes.update({name: size for name, size in pairs if isinstance(name, str)})
    rng = np.random.default_rng(0)
    found = {}
    for value in graph.inputs:
        own = tuple(n if isinstance(n, int) else sizes.get(n or "", batch) for n in value.shape or ())
        shape = shapes.get(value.name, own)
        random = rng.standard_normal(shape)
        found[value.name] = (random if np.dtype(value.dtype).kind == "f" else np.zeros(shape)).astype(value.dtype)
    return found
