"""A compressed graph: its linear maps as layers of the array, the rest as it was."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import real_array, require_type
from eie.contract.fixed_point import dequantise, quantise
from eie.errors import LayerError, PackError
from eie.network.equality import same
from eie.network.graph import Array, Graph, Node
from eie.network.limits import check_name, fitting_name, metadata_text
from eie.network.model import Layer, Model, layers_of
from eie.network.operators import LINEAR
from eie.network.operators.gates import DIRECTIONS, run_directions
from eie.network.operators.linear import Product
from eie.network.recurrent_model import RecurrentModel


@dataclass(frozen=True, eq=False)
class ArrayProduct:
    """One matrix of a linear map, or several in a row, as layers of the array.

    Parameters
    ----------
    model : Model
        The layers. Those of a convolution serve one output pixel; `eie.program.patches` makes more of them.
    input_scale : float or None
        None: inputs become fixed point with the model's fraction bits. A number: the inputs are that times integers,
        and the integers are what the array takes.
    output_scales : ndarray, shape (R / parts,), float64, or None
        With `input_scale`: what an output's integer stands for.
    parts : int
        Rows of the layer that make one output: each sums some of the columns, so that none leaves int16.
    offsets : ndarray, shape (R / parts,), float64, or None
        With `input_scale`: what the host adds to each output.
    """

    model: Model
    input_scale: float | None = None
    output_scales: NDArray[np.float64] | None = None
    parts: int = 1
    offsets: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        rows = self.model.rows
        exact = self.input_scale is not None
        if exact != (self.output_scales is not None) or rows % self.parts:
            raise LayerError(f"product {self.model.name!r}: its scales or parts do not fit {rows} rows")
        for values in (self.output_scales, self.offsets):
            if values is not None and (not exact or values.shape != (rows // self.parts,)):
                raise LayerError(f"product {self.model.name!r}: {values.shape} scales or offsets for {rows} rows")
        if exact and not (np.isfinite(self.input_scale) and self.input_scale > 0):  # type: ignore[arg-type,operator]
            raise LayerError(f"product {self.model.name!r}: its input scale is {self.input_scale}")

    @property
    def rows(self) -> int:
        """Outputs."""
        return self.model.rows // self.parts

    def to_integers(self, vectors: Array) -> NDArray[np.int16]:
        """Return what the array takes: float, any shape -> int16; NaN is refused."""
        if self.input_scale is None:
            return quantise(vectors, self.model.input_fraction_bits)
        mantissa, exponent = math.frexp(self.input_scale)
        if mantissa == 0.5:  # a power of two, as units of channels are
            return quantise(vectors, 1 - exponent)
        return quantise(np.asarray(vectors, np.float64) / self.input_scale, 0)

    def to_floats(self, integers: NDArray[np.int16]) -> Array:
        """Return what the array's outputs stand for: int16, shape (M, n R parts) -> float32, shape (M, n R)."""
        if self.output_scales is None:
            return dequantise(integers, self.model.output_fraction_bits)
        sums = integers.reshape(len(integers), -1, self.parts).sum(axis=-1, dtype=np.int64)
        floats = sums.reshape(len(integers), -1, self.rows) * self.output_scales
        floats = floats if self.offsets is None else floats + self.offsets
        return floats.reshape(sums.shape).astype(np.float32)


class QuantisedProduct(Product):
    """The product of a graph's linear map in integers; inputs become such before they are arranged as vectors.

    Parameters
    ----------
    product : ArrayProduct
    """

    def __init__(self, product: ArrayProduct) -> None:
        self.product = product

    def entering(self, x: Array) -> Array:
        return self.product.to_integers(x)

    @abstractmethod
    def entered(self, integers: Array) -> Array: ...

    def __call__(self, vectors: Array) -> Array:
        return self.entered(self.entering(vectors))


@dataclass(frozen=True, eq=False)
class GraphModel:
    """A compressed network that is more than a chain of layers.

    Parameters
    ----------
    graph : Graph
        The weights of nodes with products are left out of it.
    products : mapping of str to tuple of ArrayProduct
        By the name of the node's first output.
    name : str
    metadata : dict
        As a `Model`'s.

    Attributes
    ----------
    sequences : dict of str to tuple of RecurrentModel
        Recurrent nodes whose time steps the array computes by itself, their products joined: a model a direction.
    """

    graph: Graph
    products: dict[str, tuple[ArrayProduct, ...]]
    name: str = "model"
    metadata: dict[str, Any] = field(default_factory=dict)
    sequences: dict[str, tuple[RecurrentModel, ...]] = field(init=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        require_type(self.graph, Graph, "graph", "a graph of a network", LayerError)
        check_name(self.name, "name of a model")
        metadata_text(self.metadata)
        layers_of(self.layers)
        nodes = {node.outputs[0]: node for node in self.graph.walk()}
        for key, products in self.products.items():
            if key not in nodes or nodes[key].operator not in LINEAR:
                raise LayerError(f"model {self.name!r} has products for {key!r}, which is no linear map of its graph")
            if nodes[key].attributes.get("cell"):
                self.sequences[key] = join_gates(nodes[key], products)

    def __repr__(self) -> str:
        weights = sum(layer.nonzeros for layer in self.layers)
        nodes, layers = len(self.graph.nodes), len(self.layers)
        return f"<GraphModel {self.name!r}: {nodes} nodes, {layers} layers, {weights} weights>"

    def __eq__(self, other: object) -> bool:
        return same(self, other) if isinstance(other, GraphModel) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.products)))

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order of the nodes."""
        return tuple(layer for product in self.array_products() for layer in product.model.layers)

    def array_products(self) -> Iterator[ArrayProduct]:
        """Yield every product, in the order of the nodes."""
        for node in self.graph.walk():
            yield from self.products.get(node.outputs[0], ())


def run_products(node: Node, values: list[Array | None], products: list[Any]) -> list[Array]:
    """Compute a linear map whose weights are in its products."""
    return LINEAR[node.operator].run(values, node.attributes, products)


def join_gates(node: Node, products: Sequence[ArrayProduct]) -> tuple[RecurrentModel, ...]:
    """Return what the products of a recurrent node are together, a model a direction."""
    kind, bits = node.attributes["cell"], node.attributes["input_bits"]
    directions = len(DIRECTIONS[node.attributes["direction"]])
    each, name = len(products) // directions, fitting_name(node.name or node.outputs[0])
    if len(products) != each * directions or any(product.input_scale is not None for product in products):
        raise LayerError(f"{node}: its {len(products)} products are not the gates of {directions} directions")
    layers = [layer for product in products for layer in product.model.layers]
    return tuple(RecurrentModel(kind, layers[d * each : (d + 1) * each], bits, name) for d in range(directions))


RunSequence = Callable[
    [RecurrentModel, NDArray[np.int16], NDArray[np.int16]], tuple[NDArray[np.int16], NDArray[np.int16]]
]
"""Computes a batch of sequences, as `eie.network.reference.reference_sequence`."""


def run_sequences(
    node: Node, values: list[Array | None], models: tuple[RecurrentModel, ...], run: RunSequence
) -> list[Array]:
    """Compute a recurrent node whose sequences are in its models, in the integers of the array."""

    def sequence(direction: int, x: Array, states: Array) -> tuple[Array, Array]:
        model = models[direction]
        y, end = run(model, quantise(x, model.input_fraction_bits), model.to_states(states))
        return dequantise(y, model.output_fraction_bits), model.to_floats(end)

    return run_directions(values, node.attributes, sequence)


def unnamed(outputs: Mapping[str, Array]) -> Any:
    """Return a graph's outputs as its caller gets them: one alone, several in a dict by name, in order."""
    return next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)


def named_inputs(graph: Graph, inputs: Any) -> dict[str, Array]:
    """Return a graph's inputs by name: given so, or as a list in the graph's order, or alone if there is one."""
    names = [value.name for value in graph.inputs]
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    elif len(names) == 1 and not isinstance(inputs, tuple):
        given = {names[0]: inputs}
    elif isinstance(inputs, (tuple, list)) and len(inputs) == len(names):
        given = dict(zip(names, inputs, strict=True))
    else:
        raise PackError(
            f"the network takes {', '.join(map(str, graph.inputs))}; give a dict of them, or a tuple in order"
        )
    return {name: real_array(array, f"input {name!r}", PackError) for name, array in given.items()}
