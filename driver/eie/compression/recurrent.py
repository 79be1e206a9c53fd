"""Recurrent layers in compression: scales of nodes that the array computes by itself, and layers that stand alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.forward import forward_integer
from eie.compression.scaling import activation_fraction_bits
from eie.contract.fixed_point import ACTIVATION_MAX
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError
from eie.network.cells import CELLS, STATE_BITS, lstm_kind
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Node, Value
from eie.network.graph_model import ArrayProduct, GraphModel, join_gates, run_sequences
from eie.network.linear_maps import LinearNode, linear_nodes
from eie.network.model import Layer, Model
from eie.network.operators.gates import float_sequence, run_directions
from eie.network.operators.linear import FloatProduct
from eie.network.recurrent import GRU, LSTM
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import reference_sequence

_STATE_PEAK = math.ldexp(ACTIVATION_MAX, -STATE_BITS)
_SYNTHETIC = (64, 16)
"""Sequences and time steps for want of a calibration."""
_INPUT, _OUTPUT = "x", "y"


def scaled_nodes(
    graph: Graph, fused: Graph, samples: Sequence[Mapping[str, Array]], headroom: float
) -> dict[str, LinearNode]:
    """Return a graph's linear maps; those of recurrent nodes with the scales of the inputs that they were given.

    A node whose states leave the range that they have on the array keeps the host in its loop.

    Parameters
    ----------
    graph : Graph
        What is evaluated.
    fused : Graph
        The same without the ReLUs that linear maps take over: whose linear maps are returned.
    samples : sequence of mapping of str to ndarray
        Inputs.
    headroom : float
    """
    nodes = linear_nodes(fused)
    if not any(linear.attributes.get("cell") for linear in nodes.values()):
        return nodes
    reached: dict[str, tuple[NDArray[np.float64], float]] = {}

    def hook(node: Node, values: list[Array | None]) -> list[Array] | None:
        linear = nodes.get(node.outputs[0])
        if linear is None or not linear.attributes.get("cell"):
            return None
        products = [FloatProduct(matrix) for matrix in linear.matrices]
        peaks, before = reached.get(node.outputs[0], (np.zeros(len(CELLS[linear.attributes["cell"]].states)), 0.0))

        def sequence(direction: int, x: Array, states: Array) -> tuple[Array, Array]:
            whole = float_sequence(x, states, linear.attributes, products, direction)
            for seen in (whole, states[:, None]):
                np.maximum(peaks, np.abs(seen).max(axis=(0, 1, 3), initial=0), out=peaks)
            return whole[:, :, 0], whole[:, -1] if whole.shape[1] else states

        data = linear.without_weights(values)
        outputs = run_directions(data, linear.attributes, sequence)
        largest = float(np.abs(data[0]).max()) if data[0] is not None and data[0].size else 0.0
        if not (np.isfinite(largest) and np.isfinite(peaks).all()):
            raise NetworkError(f"layer {linear.names[0]!r}: the calibration holds or causes infinity or NaN here")
        reached[node.outputs[0]] = peaks, max(before, largest)
        return outputs

    for inputs in samples:
        evaluate(graph, inputs, hook)
    cells: dict[str, tuple[str, int] | None] = {}
    for key, (peaks, largest) in reached.items():
        kind = _kind_for(nodes[key].attributes["cell"], peaks, headroom)
        bits = activation_fraction_bits(largest * headroom) if largest else STATE_BITS
        cells[key] = None if kind is None else (kind, bits)
    return linear_nodes(fused, cells=cells)


def _kind_for(kind: str, peaks: NDArray[np.float64], headroom: float) -> str | None:
    """Return the kind of cell whose states hold what they reach; None if none does."""
    if peaks[0] > _STATE_PEAK:
        return None
    return lstm_kind(float(peaks[1]) * headroom) if kind == "lstm" else kind


def gate_format(linear: LinearNode, number: int) -> tuple[int, float] | None:
    """Return fraction bits of the inputs and peak of the outputs of a matrix, where these are a cell's; else None."""
    kind = linear.attributes.get("cell")
    if kind is None:
        return None
    gates = CELLS[kind].gates
    return STATE_BITS, math.ldexp(ACTIVATION_MAX, -gates[number % len(gates)].fraction_bits)


def run_as_the_array(linear: LinearNode, values: list[Array | None], products: Sequence[ArrayProduct]) -> list[Array]:
    """Compute a recurrent node to the bit as the array will, given its compressed gates."""
    node = linear.with_attributes()
    weights: dict[int, NDArray[np.int32]] = {}

    def gate(layer: Layer, operands: NDArray[np.int16]) -> NDArray[np.int16]:
        if id(layer) not in weights:
            weights[id(layer)] = layer.dense_integers()
        return forward_integer(operands, weights[id(layer)], layer)

    return run_sequences(node, values, join_gates(node, products), partial(reference_sequence, run_gate=gate))


def one_node(network: LSTM | GRU) -> Graph:
    """Return a recurrent layer as a graph of one node, which takes (B, T, C)."""
    operator, order = ("LSTM", "iofg") if isinstance(network, LSTM) else ("GRU", "zrn")
    attributes: dict[str, Any] = {"layout": 1}
    if isinstance(network, GRU):
        attributes["linear_before_reset"] = int(network.reset_after)
    node = Node(operator, (_INPUT, "w", "r", "b"), (_OUTPUT,), attributes, network.name or operator.lower())
    w, r, b = network.in_order(order)
    constants = {"w": w[None], "r": r[None], "b": b[None]}
    shape = (None, None, network.columns)
    return Graph([node], [Value(_INPUT, "float32", shape)], [Value(_OUTPUT)], constants)


def sequences_for(network: LSTM | GRU, calibration: Any) -> Array:
    """Return calibration sequences, shape (B, T, C): those given, also as (T, C), or standard normal ones."""
    if calibration is None:
        return frozen_random(0).standard_normal((*_SYNTHETIC, network.columns)).astype(np.float32)
    given = np.asarray(calibration, np.float32)
    batch = given[None] if given.ndim == 2 else given
    if batch.ndim != 3 or batch.shape[2] != network.columns or not batch.size:
        raise NetworkError(
            f"calibration has shape {given.shape}; the layer takes (T, {network.columns}) or (B, T, {network.columns})"
        )
    return batch


def alone(model: Model | GraphModel) -> RecurrentModel:
    """Return the recurrent layer of a compressed graph of one node."""
    if not isinstance(model, GraphModel) or _OUTPUT not in model.sequences:
        raise NetworkError(
            "a state of the layer leaves the range that it has on the array, on these inputs: calibrate with other "
            "ones, or compress the layer as part of a graph, whose states the host then computes"
        )
    (found,) = model.sequences[_OUTPUT]
    return RecurrentModel(found.kind, found.layers, found.input_fraction_bits, model.name, model.metadata)
