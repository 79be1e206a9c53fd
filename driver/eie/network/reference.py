"""The plain integer reference: the arithmetic contract with no packing, no tiling and no device."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import require_type
from eie.contract.fixed_point import as_activations
from eie.errors import PackError
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Node
from eie.network.graph_model import ArrayProduct, GraphModel, named_inputs, run_products, unnamed
from eie.network.model import Layer, Model
from eie.network.operators.linear import Product


@overload
def reference(model: Model, activations: ArrayLike) -> NDArray[np.int16]: ...


@overload
def reference(model: GraphModel, activations: Any) -> Any: ...


def reference(model: Model | GraphModel, activations: Any) -> Any:
    """Compute a model in exact integer arithmetic, of a graph all that is the array's.

    Parameters
    ----------
    model : Model or GraphModel
    activations : array_like, shape (B, C), int16
        Input in the model's fixed point; for a graph its inputs, as `eie.Accelerator.run` takes them.

    Returns
    -------
    ndarray, shape (B, R of the last layer), int16
        For a graph its outputs, as `eie.Accelerator.run` returns them.
    """
    if isinstance(model, GraphModel):
        return _reference_graph(model, activations)
    require_type(model, Model, "model", "an eie.Model or eie.GraphModel", PackError)
    a = as_activations(activations, model.columns)
    for layer in model.layers:
        a = reference_layer(layer, a)
    return a


def reference_layer(layer: Layer, activations: NDArray[np.int16]) -> NDArray[np.int16]:
    """Compute one layer: int16, shape (B, C) -> int16, shape (B, R)."""
    a = activations.astype(np.int64)
    accumulators = np.zeros((len(a), layer.rows), np.int64)
    for term in layer.terms:
        weights = term.weights
        for column in range(layer.columns):
            span = slice(term.column_starts[column], term.column_starts[column + 1])
            accumulators[:, term.row_indices[span]] += a[:, column, None] * weights[span]
    return layer.finish(accumulators + layer.bias)


class IntegerProduct(Product):
    """The product in exact integers: what the array computes, without one."""

    def __init__(self, product: ArrayProduct) -> None:
        self.product = product

    def __call__(self, vectors: Array) -> Array:
        integers = self.product.to_integers(vectors)
        for layer in self.product.model.layers:
            integers = reference_layer(layer, integers)
        return self.product.to_floats(integers)


def _reference_graph(model: GraphModel, inputs: Any) -> Any:
    def hook(node: Node, values: list[Array | None]) -> list[Array] | None:
        products = model.products.get(node.outputs[0])
        return None if products is None else run_products(node, values, [IntegerProduct(p) for p in products])

    return unnamed(evaluate(model.graph, named_inputs(model.graph, inputs), hook))
