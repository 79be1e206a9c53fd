"""Recurrent layers: LSTM and GRU in floating point, compressed, and what their cells compute, to the bit.

A cell is a list of steps over named vectors: gates, which are layers of the array, and element-wise operations
(`eie.contract.functions`). The integer reference and the packed program both carry out this one list.

    model = eie.compress(eie.LSTM(w_ih, w_hh, b_ih, b_hh), density, calibration, terms=2)
    y = accelerator.run(x, model=model)                       # (T, C) or (B, T, C) -> (.., T, H)
    more = accelerator.run(x2, model=model, keep_states=True)  # goes on where the last call ended

Gates come in PyTorch's order; ONNX has i, o, f, c and z, r, h. A recurrent model is no part of a graph or of a model
file yet: a node of a graph that becomes one runs by `eie.runtime.recurrent.run_sequences` on what
`eie.program.recurrent.pack_recurrent` makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.functions import (
    CURVE_OUTPUT_BITS,
    CURVE_SHIFT,
    SIGMOID_INPUT_BITS,
    TANH_INPUT_BITS,
    Operation,
    elementwise,
)
from eie.errors import LayerError, PackError
from eie.network.dense import Dense
from eie.network.limits import check_name
from eie.network.model import Layer
from eie.network.reference import reference_layer

MOST_STATE_BITS = 14
"""Fraction bits of inputs and hidden state at most: their differences, -2 to 2, must fit int16."""


@dataclass(frozen=True)
class Gate:
    """A layer of the array: vector `target`, of so many fraction bits, from `operands` side by side."""

    target: str
    operands: tuple[str, ...]
    fraction_bits: int


@dataclass(frozen=True)
class Apply:
    """An element-wise operation. Its shift is `shift` and, for each fraction bit of the hidden state, `per_bit`."""

    operation: Operation
    target: str
    source: str
    shift: int = 0
    per_bit: int = 0

    def shift_for(self, state_bits: int) -> int:
        """Return the shift, where the hidden state has so many fraction bits."""
        return self.shift + self.per_bit * state_bits


@dataclass(frozen=True)
class Cell:
    """What a recurrent layer computes in a time step.

    Parameters
    ----------
    vectors : tuple of str
        In the order in which they lie in memory; all but "x" are as long as the hidden state.
    states : tuple of str
        Vectors that the next step goes on with; the first is the output.
    steps : tuple of Gate or Apply
    """

    vectors: tuple[str, ...]
    states: tuple[str, ...]
    steps: tuple[Gate | Apply, ...]

    @property
    def gates(self) -> list[Gate]:
        """The gates, in the order of the steps."""
        return [step for step in self.steps if isinstance(step, Gate)]


def _curve(operation: Operation, target: str, source: str | None = None) -> Apply:
    return Apply(operation, target, source or target, CURVE_SHIFT)


_UNIT = CURVE_OUTPUT_BITS
_BOTH = ("h", "x")
_UPDATE = (
    # h = (h - n) z + n, once n has the fraction bits of h.
    Apply(Operation.COPY, "n", "n", _UNIT, -1),
    Apply(Operation.SUBTRACT, "h", "n"),
    Apply(Operation.MULTIPLY, "h", "z", _UNIT),
    Apply(Operation.ADD, "h", "n"),
)
_RESET = (
    Gate("r", _BOTH, SIGMOID_INPUT_BITS),
    Gate("z", _BOTH, SIGMOID_INPUT_BITS),
    _curve(Operation.SIGMOID, "r"),
    _curve(Operation.SIGMOID, "z"),
)

CELLS = {
    "lstm": Cell(
        ("h", "x", "c", "i", "f", "o", "g"),
        ("h", "c"),
        (
            Gate("i", _BOTH, SIGMOID_INPUT_BITS),
            Gate("f", _BOTH, SIGMOID_INPUT_BITS),
            Gate("g", _BOTH, TANH_INPUT_BITS),
            Gate("o", _BOTH, SIGMOID_INPUT_BITS),
            _curve(Operation.SIGMOID, "i"),
            _curve(Operation.SIGMOID, "f"),
            _curve(Operation.SIGMOID, "o"),
            _curve(Operation.TANH, "g"),
            # c has the fraction bits of tanh's argument.
            Apply(Operation.MULTIPLY, "c", "f", _UNIT),
            Apply(Operation.MULTIPLY, "g", "i", 2 * _UNIT - TANH_INPUT_BITS),
            Apply(Operation.ADD, "c", "g"),
            _curve(Operation.TANH, "h", "c"),
            Apply(Operation.MULTIPLY, "h", "o", 2 * _UNIT, -1),
        ),
    ),
    "gru": Cell(
        ("h", "x", "r", "z", "n", "m"),
        ("h",),
        (
            *_RESET,
            Gate("n", ("x",), TANH_INPUT_BITS),
            Gate("m", ("h",), TANH_INPUT_BITS),
            Apply(Operation.MULTIPLY, "m", "r", _UNIT),
            Apply(Operation.ADD, "n", "m"),
            _curve(Operation.TANH, "n"),
            *_UPDATE,
        ),
    ),
    "gru, reset before": Cell(
        ("h", "x", "q", "r", "z", "n"),
        ("h",),
        (
            *_RESET,
            Apply(Operation.COPY, "q", "h"),
            Apply(Operation.MULTIPLY, "q", "r", _UNIT),
            Gate("n", ("x", "q"), TANH_INPUT_BITS),
            _curve(Operation.TANH, "n"),
            *_UPDATE,
        ),
    ),
}
"""By kind. An LSTM's gates are i, f, g, o, a GRU's r, z, n, as PyTorch has them."""


class _Recurrent:
    """What LSTM and GRU share: weights checked, cut by gate."""

    blocks = 0

    def __init__(
        self,
        w_ih: ArrayLike,
        w_hh: ArrayLike,
        b_ih: ArrayLike | None = None,
        b_hh: ArrayLike | None = None,
        name: str = "",
    ) -> None:
        check_name(name, "name of a layer")
        self.name = name
        label = f"{type(self).__name__} {name!r}" if name else type(self).__name__
        inputs, states = Dense(w_ih, b_ih, name=f"{label} w_ih"), Dense(w_hh, b_hh, name=f"{label} w_hh")
        rows, hidden = states.weight.shape
        if rows != self.blocks * hidden or inputs.weight.shape[0] != rows:
            raise LayerError(
                f"{label}: w_ih is {inputs.weight.shape}, w_hh {states.weight.shape}; they must be "
                f"({self.blocks} H, C) and ({self.blocks} H, H)"
            )
        self.hidden, self.columns = hidden, inputs.weight.shape[1]
        self._weights = {"x": inputs.weight, "h": states.weight}
        nothing = np.zeros(rows, np.float32)
        self._biases = {
            "x": nothing if inputs.bias is None else inputs.bias,
            "h": nothing if states.bias is None else states.bias,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.columns} -> {self.hidden}>"

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        raise NotImplementedError

    def _part(self, block: int, operands: tuple[str, ...], name: str) -> Dense:
        rows = slice(block * self.hidden, (block + 1) * self.hidden)
        kinds = ["x" if operand == "x" else "h" for operand in operands]
        weight = np.concatenate([self._weights[kind][rows] for kind in kinds], axis=1)
        bias = np.sum([self._biases[kind][rows] for kind in kinds], axis=0, dtype=np.float32)
        return Dense(weight, bias, name=name)

    def dense_gates(self) -> list[Dense]:
        """Return the gates as layers, in the order of the cell's steps."""
        blocks = {name: number for number, name in enumerate("ifgo" if self.blocks == 4 else "rzn")}
        blocks["m"] = 2
        return [
            self._part(blocks[gate.target], gate.operands, f"{self.name} {gate.target}".strip())
            for gate in CELLS[self.kind].gates
        ]


class LSTM(_Recurrent):
    """A long short-term memory layer of floats, as `torch.nn.LSTM` has it; compress it to run it.

    Parameters
    ----------
    w_ih : array_like, shape (4 H, C), float
        Gates i, f, g, o.
    w_hh : array_like, shape (4 H, H), float
    b_ih, b_hh : array_like, shape (4 H,), float, optional
    name : str, optional
    """

    blocks = 4

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        return "lstm"


class GRU(_Recurrent):
    """A gated recurrent unit of floats; compress it to run it.

    Parameters
    ----------
    w_ih : array_like, shape (3 H, C), float
        Gates r, z, n.
    w_hh : array_like, shape (3 H, H), float
    b_ih, b_hh : array_like, shape (3 H,), float, optional
    name : str, optional
    reset_after : bool
        The reset gate acts on the product with the state, as in `torch.nn.GRU`; False: on the state before it, as in
        ONNX with ``linear_before_reset=0``.
    """

    blocks = 3

    def __init__(
        self,
        w_ih: ArrayLike,
        w_hh: ArrayLike,
        b_ih: ArrayLike | None = None,
        b_hh: ArrayLike | None = None,
        name: str = "",
        reset_after: bool = True,
    ) -> None:
        super().__init__(w_ih, w_hh, b_ih, b_hh, name)
        self.reset_after = bool(reset_after)

    @property
    def kind(self) -> str:
        """Key of `CELLS`."""
        return "gru" if self.reset_after else "gru, reset before"


@dataclass(frozen=True, eq=False, repr=False)
class RecurrentModel:
    """A compressed recurrent layer.

    Parameters
    ----------
    kind : {"lstm", "gru", "gru, reset before"}
    columns, hidden : int
        C inputs, H outputs of a time step.
    layers : sequence of Layer
        The gates, in the order of the cell's steps (`CELLS`), their columns in that of their operands.
    name : str
    metadata : dict

    Raises
    ------
    LayerError
        If a layer does not fit its gate.
    """

    kind: str
    columns: int
    hidden: int
    layers: tuple[Layer, ...]
    name: str = "model"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __init__(
        self,
        kind: str,
        columns: int,
        hidden: int,
        layers: Iterable[Layer],
        name: str = "model",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        check_name(name, "name of a model")
        if kind not in CELLS:
            raise LayerError(f"kind {kind!r} of a recurrent model is not one of {', '.join(map(repr, CELLS))}")
        for attribute, value in (("kind", kind), ("columns", columns), ("hidden", hidden), ("layers", tuple(layers))):
            object.__setattr__(self, attribute, value)
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "metadata", dict(metadata or {}))
        gates = self.cell.gates
        if len(self.layers) != len(gates):
            raise LayerError(f"model {name!r}: {len(self.layers)} layers; a cell {kind!r} has {len(gates)} gates")
        bits = self.layers[0].input_fraction_bits
        if not 0 <= bits <= MOST_STATE_BITS:
            raise LayerError(f"model {name!r}: inputs of {bits} fraction bits; 0 to {MOST_STATE_BITS} are possible")
        for layer, gate in zip(self.layers, gates, strict=True):
            wanted = (hidden, sum(self.size(operand) for operand in gate.operands), bits, gate.fraction_bits, False)
            given = (layer.rows, layer.columns, layer.input_fraction_bits, layer.output_fraction_bits, layer.relu)
            if given != wanted:
                raise LayerError(
                    f"model {name!r}: gate {gate.target!r} has (rows, columns, input and output fraction bits, ReLU) "
                    f"{given}; it must have {wanted}"
                )

    def __repr__(self) -> str:
        weights = sum(layer.nonzeros for layer in self.layers)
        return f"<RecurrentModel {self.name!r}: {self.kind}, {self.columns} -> {self.hidden}, {weights} weights>"

    @staticmethod
    def cell_of(kind: str) -> Cell:
        """Return what a time step of a kind computes."""
        return CELLS[kind]

    @property
    def cell(self) -> Cell:
        """What a time step computes."""
        return CELLS[self.kind]

    @property
    def rows(self) -> int:
        """Outputs of a time step."""
        return self.hidden

    @property
    def fraction_bits(self) -> int:
        """Fraction bits of inputs, hidden state and outputs."""
        return self.layers[0].input_fraction_bits

    def size(self, vector: str) -> int:
        """Return the length of a vector of the cell."""
        return self.columns if vector == "x" else self.hidden

    def zero_states(self, batch: int) -> NDArray[np.int16]:
        """Return the states that a sequence begins with, int16, shape (batch, states, H)."""
        return np.zeros((batch, len(self.cell.states), self.hidden), np.int16)


def reference_sequence(
    model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Compute sequences in exact integers.

    Parameters
    ----------
    model : RecurrentModel
    inputs : ndarray, shape (B, T, C), int16
    states : ndarray, shape (B, states, H), int16

    Returns
    -------
    outputs : ndarray, shape (B, T, H), int16
    states : ndarray, shape (B, states, H), int16
        At the end.
    """
    if inputs.ndim != 3 or inputs.shape[2] != model.columns:
        raise PackError(f"sequences have shape {inputs.shape}; model {model.name!r} takes (B, T, {model.columns})")
    values = dict(zip(model.cell.states, np.moveaxis(states, 1, 0), strict=True))
    outputs = np.empty((*inputs.shape[:2], model.hidden), np.int16)
    for time in range(inputs.shape[1]):
        values["x"] = inputs[:, time]
        layers = iter(model.layers)
        for step in model.cell.steps:
            if isinstance(step, Gate):
                operands = np.concatenate([values[name] for name in step.operands], axis=1)
                values[step.target] = reference_layer(next(layers), operands)
            else:
                source = values[step.source]
                before = values.get(step.target, source)
                values[step.target] = elementwise(step.operation, before, source, step.shift_for(model.fraction_bits))
        outputs[:, time] = values[model.cell.states[0]]
    return outputs, np.stack([values[name] for name in model.cell.states], axis=1)
