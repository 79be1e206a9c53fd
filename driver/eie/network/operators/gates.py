"""LSTM and GRU nodes whose time steps the array computes by itself: their gates as matrices, and whole sequences.

Which cells these are says `eie.network.cells`; all others keep the host in the loop, see
`eie.network.operators.recurrent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eie.contract.functions import Operation
from eie.errors import NetworkError
from eie.network.cells import CELLS, STATE_BITS, Apply
from eie.network.operators.elementwise import sigmoid_of
from eie.network.operators.linear import Matrix, Product
from eie.network.operators.table import Array

DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_ORDER = {"LSTM": "iofg", "GRU": "zrn"}
"""Of the gates in ONNX's matrices."""
_LENGTHS, _PEEPHOLES = 4, 7
_FLOATS: dict[Operation, Callable[[Array, Array], Array]] = {
    Operation.COPY: lambda a, b: b,
    Operation.ADD: lambda a, b: a + b,
    Operation.SUBTRACT: lambda a, b: a - b,
    Operation.MULTIPLY: lambda a, b: a * b,
    Operation.TANH: lambda a, b: np.tanh(b),
    Operation.SIGMOID: lambda a, b: sigmoid_of(b),
}

RunDirection = Callable[[int, Array, Array], "tuple[Array, Array]"]
"""Given a direction, inputs (B, T, C) and states (B, states, H); returns outputs (B, T, H) and states at the end."""


def array_cell(operator: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str | None:
    """Return the key of `CELLS` that a recurrent node is, or None if the array has no such cell."""
    if operator not in _ORDER:
        return None
    usual = ("sigmoid", "tanh", "tanh") if operator == "LSTM" else ("sigmoid", "tanh")
    given = attributes["activations"] or usual * 2
    others = [name for place, name in enumerate(inputs) if place in (_LENGTHS, _PEEPHOLES) and name]
    known = all(name.lower() == usual[i % len(usual)] for i, name in enumerate(given))
    if others or not known or attributes["clip"] or attributes.get("input_forget"):
        return None
    if operator == "LSTM":
        return "lstm"
    return "gru" if attributes["linear_before_reset"] else "gru, reset before"


def gate_matrices(operator: str, w: Array, r: Array, b: Array, attributes: dict[str, Any]) -> list[Matrix]:
    """Return the gates of all directions, in the order of the cell's steps.

    Weights of the inputs are scaled so that these act as if they had the states' fraction bits.
    """
    size, cell = attributes["hidden_size"], CELLS[attributes["cell"]]
    scale = w.dtype.type(2.0 ** (STATE_BITS - attributes["input_bits"]))
    found = []
    for direction in range(len(w)):
        biases = np.split(b[direction], 2)
        for gate in cell.gates:
            block = _ORDER[operator].index("n" if gate.target == "m" else gate.target)
            rows = slice(block * size, (block + 1) * size)
            parts = [w[direction, rows] * scale if name == "x" else r[direction, rows] for name in gate.operands]
            kinds = [0 if name == "x" else 1 for name in gate.operands]
            bias = sum(biases[kind][rows] for kind in kinds)
            found.append(Matrix(np.concatenate(parts, axis=1), np.asarray(bias)))
    return found


def gate_names(label: str, attributes: dict[str, Any]) -> list[str]:
    """Return a name for each of the gates."""
    gates = [gate.target for gate in CELLS[attributes["cell"]].gates]
    directions = len(DIRECTIONS[attributes["direction"]])
    if directions == 1:
        return [f"{label}/{gate}" for gate in gates]
    return [f"{label}/{direction}/{gate}" for direction in range(directions) for gate in gates]


def run_gates(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    """Compute a node in floats, but for the products of its gates."""

    def sequence(direction: int, x: Array, states: Array) -> tuple[Array, Array]:
        whole = float_sequence(x, states, attributes, products, direction)
        return whole[:, :, 0], whole[:, -1]

    return run_directions(inputs, attributes, sequence)


def float_sequence(
    x: Array, states: Array, attributes: dict[str, Any], products: Sequence[Product], direction: int
) -> Array:
    """Return the states after every time step: inputs (B, T, C), states (B, states, H) -> (B, T, states, H)."""
    cell = CELLS[attributes["cell"]]
    first = direction * len(cell.gates)
    scaled = x * x.dtype.type(2.0 ** (attributes["input_bits"] - STATE_BITS))
    values = dict(zip(cell.states, np.moveaxis(states, 1, 0), strict=True))
    found = np.empty((*x.shape[:2], *states.shape[1:]), x.dtype)

    def gate(number: int, operands: list[Array]) -> Array:
        return products[first + number](np.concatenate(operands, axis=1))

    for time in range(x.shape[1]):
        values["x"] = scaled[:, time]
        cell.time_step(values, gate, _apply)
        found[:, time] = np.stack([values[name] for name in cell.states], axis=1)
    return found


def _apply(step: Apply, target: Array, source: Array) -> Array:
    if step.doubles:
        return source
    return _FLOATS[step.operation](target, source).astype(source.dtype, copy=False)


def run_directions(inputs: list[Any], attributes: dict[str, Any], sequence: RunDirection) -> list[Array]:
    """Compute a node whose sequences something else computes: what ONNX says of directions, layouts and states."""
    x, _, _, bias, _, h0, c0 = (*inputs, *[None] * 7)[:7]
    if bias is not None:
        raise NetworkError("weights are constant but biases are not")
    size, directions = attributes["hidden_size"], DIRECTIONS[attributes["direction"]]
    x = x if attributes["layout"] else x.swapaxes(0, 1)
    given = [h0, c0][: len(CELLS[attributes["cell"]].states)]
    outputs, last = [], []
    for direction, backwards in enumerate(directions):
        states = [initial_state(s, direction, len(x), size, x.dtype, bool(attributes["layout"])) for s in given]
        y, end = sequence(direction, x[:, ::-1] if backwards else x, np.stack(states, axis=1))
        outputs.append(y[:, ::-1] if backwards else y)
        last.append(end)
    states_at_end = [np.stack(parts) for parts in zip(*(np.moveaxis(end, 1, 0) for end in last), strict=True)]
    if attributes["layout"]:
        return [np.stack(outputs, axis=2), *(state.swapaxes(0, 1) for state in states_at_end)]
    return [np.stack(outputs, axis=1).transpose(2, 1, 0, 3), *states_at_end]


def initial_state(given: Array | None, direction: int, batch: int, size: int, dtype: Any, batch_first: bool) -> Array:
    """Return what a direction of a batch begins with, shape (B, H)."""
    if given is None:
        return np.zeros((batch, size), dtype)
    state = given[:, direction] if batch_first else given[direction]
    if state.shape != (batch, size):
        raise NetworkError(f"an initial state has the shape {given.shape}; batch {batch} and size {size} are wanted")
    return state
