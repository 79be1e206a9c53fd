"""The plain integer reference: the arithmetic contract with no packing, no tiling and no device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, require_type
from eie.contract.fixed_point import as_activations
from eie.contract.functions import elementwise
from eie.errors import PackError
from eie.network.cells import Apply
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Node
from eie.network.graph_model import GraphModel, QuantisedProduct, named_inputs, run_products, run_sequences, unnamed
from eie.network.model import Layer, Model
from eie.network.recurrent_model import RecurrentModel
from eie.network.term import Term

_BLOCK = 1024
"""Vectors that are multiplied together: their accumulators stay in a processor's cache."""

RunGate = Callable[[Layer, NDArray[np.int16]], NDArray[np.int16]]


@overload
def reference(model: Model | RecurrentModel, activations: ArrayLike) -> NDArray[np.int16]: ...


@overload
def reference(model: GraphModel, activations: Any) -> Any: ...


def reference(model: Model | GraphModel | RecurrentModel, activations: Any) -> Any:
    """Compute a model in exact integer arithmetic, of a graph all that is the array's.

    Parameters
    ----------
    model : Model, GraphModel or RecurrentModel
    activations : array_like, shape (B, C), int16
        Input in the model's fixed point; for a graph its inputs, as `eie.Accelerator.run` takes them; of a recurrent
        model sequences, shape (T, C) or (B, T, C), which begin with states of 0.

    Returns
    -------
    ndarray, shape (B, R of the last layer), int16
        For a graph its outputs, as `eie.Accelerator.run` returns them; of a recurrent model shape (.., T, H).
    """
    if isinstance(model, GraphModel):
        return _reference_graph(model, activations)
    if isinstance(model, RecurrentModel):
        batch = as_sequences(model, activations)
        as_activations(batch[:, 0], model.columns)
        outputs, _ = reference_sequence(model, batch, model.zero_states(len(batch)))
        return outputs if np.ndim(activations) == 3 else outputs[0]
    require_type(model, Model, "model", "an eie.Model, eie.GraphModel or eie.RecurrentModel", PackError)
    a = as_activations(activations, model.columns)
    for layer in model.layers:
        a = reference_layer(layer, a)
    return a


def reference_layer(layer: Layer, activations: NDArray[np.int16]) -> NDArray[np.int16]:
    """Compute one layer: int16, shape (B, C) -> int16, shape (B, R)."""
    results = np.empty((len(activations), layer.rows), np.int16)
    for start in range(0, len(activations), _BLOCK):
        columns = np.ascontiguousarray(activations[start : start + _BLOCK].T, np.int64)
        accumulators = np.zeros((layer.rows, columns.shape[1]), np.int64)
        for term in layer.terms:
            for column, weights, rows in _stored_columns(term):
                accumulators[rows] += weights[:, None] * columns[column]
        results[start : start + _BLOCK] = layer.finish(accumulators.T + layer.bias)
    return results


def _stored_columns(term: Term) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int32]]]:
    """Yield each column that stores something, its weights and their rows."""
    weights, starts = term.weights, term.column_starts
    for column in np.flatnonzero(np.diff(starts)).tolist():
        span = slice(starts[column], starts[column + 1])
        yield column, weights[span], term.row_indices[span]


def reference_sequence(
    model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16], run_gate: RunGate = reference_layer
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Compute sequences in exact integers.

    Parameters
    ----------
    model : RecurrentModel
    inputs : ndarray, shape (B, T, C), int16
    states : ndarray, shape (B, states, H), int16
    run_gate : callable
        What computes a gate's layer.

    Returns
    -------
    outputs : ndarray, shape (B, T, H), int16
    states : ndarray, shape (B, states, H), int16
        At the end.
    """
    values = dict(zip(model.cell.states, np.moveaxis(states, 1, 0), strict=True))
    outputs = np.empty((*inputs.shape[:2], model.hidden), np.int16)
    for time in range(inputs.shape[1]):
        values["x"] = inputs[:, time]
        model.cell.time_step(
            values, lambda number, operands: run_gate(model.layers[number], np.concatenate(operands, axis=1)), _apply
        )
        outputs[:, time] = values[model.cell.output]
    return outputs, np.stack([values[name] for name in model.cell.states], axis=1)


def _apply(step: Apply, target: NDArray[np.int16], source: NDArray[np.int16]) -> NDArray[np.int16]:
    return elementwise(step.operation, target, source, step.shift)


def as_sequences(model: RecurrentModel, x: ArrayLike) -> NDArray[Any]:
    """Return inputs as (B, T, C), T at least 1; of one sequence, B is 1."""
    x = real_array(x, "x", PackError)
    batch = x[None] if x.ndim == 2 else x
    if batch.ndim != 3 or batch.shape[2] != model.columns or not batch.shape[1]:
        raise PackError(
            f"x has shape {x.shape}; model {model.name!r} takes (T, {model.columns}) or (B, T, {model.columns})"
        )
    return batch


class IntegerProduct(QuantisedProduct):
    """The product in exact integers: what the array computes, without one."""

    def entered(self, integers: Array) -> Array:
        for layer in self.product.model.layers:
            integers = reference_layer(layer, integers)
        return self.product.to_floats(integers)


def _reference_graph(model: GraphModel, inputs: Any) -> Any:
    def hook(node: Node, values: list[Array | None]) -> list[Array] | None:
        key = node.outputs[0]
        if key in model.sequences:
            return run_sequences(node, values, model.sequences[key], reference_sequence)
        products = model.products.get(key)
        return None if products is None else run_products(node, values, [IntegerProduct(p) for p in products])

    return unnamed(evaluate(model.graph, named_inputs(model.graph, inputs), hook))
