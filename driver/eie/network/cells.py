"""What the cells of recurrent layers compute, to the bit.

A cell is a list of steps over named vectors: gates, which are layers of the array, and element-wise operations
(`eie.contract.functions`). The integer reference and the packed program both carry out this one list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from eie.contract.config import ACTIVATION_BITS
from eie.contract.fixed_point import ACTIVATION_MAX
from eie.contract.functions import CURVE_OUTPUT_BITS, CURVE_SHIFT, SIGMOID_INPUT_BITS, TANH_INPUT_BITS, Operation

STATE_BITS = TANH_INPUT_BITS
"""Fraction bits of the states: -8 to 8. Cell states that grow larger have fewer, see `lstm_kind`."""

_WIDENINGS = 4
"""Bits that a cell state may have fewer: -128 to 128 then."""


Vectors = NDArray[Any]


@dataclass(frozen=True)
class Gate:
    """A layer of the array: vector `target`, of so many fraction bits, from `operands` side by side."""

    target: str
    operands: tuple[str, ...]
    fraction_bits: int


@dataclass(frozen=True)
class Apply:
    """An element-wise operation of vector `target`, which it replaces, with `source`."""

    operation: Operation
    target: str
    source: str
    shift: int = 0

    @property
    def doubles(self) -> bool:
        """Whether a vector is added to itself: it has a fraction bit less then, and stands for what it did."""
        return self.operation == Operation.ADD and self.target == self.source


@dataclass(frozen=True)
class Cell:
    """What a recurrent layer computes in a time step.

    Parameters
    ----------
    vectors : tuple of str
        In the order in which they lie in memory; all but "x" are as long as the hidden state.
    states : dict of str to int
        Vectors that the next step goes on with, and their fraction bits; the first is the output.
    steps : tuple of Gate or Apply
    """

    vectors: tuple[str, ...]
    states: dict[str, int]
    steps: tuple[Gate | Apply, ...]

    @property
    def output(self) -> str:
        """The state that a time step puts out."""
        return next(iter(self.states))

    @property
    def gates(self) -> list[Gate]:
        """The gates, in the order of the steps."""
        return [step for step in self.steps if isinstance(step, Gate)]

    def time_step(
        self,
        values: dict[str, Vectors],
        gate: Callable[[int, list[Vectors]], Vectors],
        apply: Callable[[Apply, Vectors, Vectors], Vectors],
    ) -> None:
        """Carry out a time step in any arithmetic.

        Parameters
        ----------
        values : dict of str to ndarray, shape (B, size)
            The vectors: states and "x" going in; the states are replaced.
        gate : callable
            Given the number of a gate and its operands; computes it.
        apply : callable
            Given an operation, target and source; computes it.
        """
        number = 0
        for step in self.steps:
            if isinstance(step, Gate):
                values[step.target] = gate(number, [values[name] for name in step.operands])
                number += 1
            else:
                source = values[step.source]
                values[step.target] = apply(step, values.get(step.target, source), source)


def _curve(operation: Operation, target: str, source: str | None = None) -> Apply:
    return Apply(operation, target, source or target, CURVE_SHIFT)


_UNIT = CURVE_OUTPUT_BITS
_BOTH = ("h", "x")
_UPDATE = (
    # h = (h - n) z + n, once n has the fraction bits of h.
    Apply(Operation.COPY, "n", "n", _UNIT - STATE_BITS),
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


def _lstm(cell_bits: int) -> Cell:
    """Return the cell whose cell state has so many fraction bits: tanh takes it doubled until it has its own.

    Doubling saturates where tanh is 1 anyway.
    """
    doubled = [Apply(Operation.ADD, "h", "h")] * (STATE_BITS - cell_bits)
    return Cell(
        ("h", "x", "c", "i", "f", "o", "g"),
        {"h": STATE_BITS, "c": cell_bits},
        (
            Gate("i", _BOTH, SIGMOID_INPUT_BITS),
            Gate("f", _BOTH, SIGMOID_INPUT_BITS),
            Gate("g", _BOTH, TANH_INPUT_BITS),
            Gate("o", _BOTH, SIGMOID_INPUT_BITS),
            _curve(Operation.SIGMOID, "i"),
            _curve(Operation.SIGMOID, "f"),
            _curve(Operation.SIGMOID, "o"),
            _curve(Operation.TANH, "g"),
            Apply(Operation.MULTIPLY, "c", "f", _UNIT),
            Apply(Operation.MULTIPLY, "g", "i", 2 * _UNIT - cell_bits),
            Apply(Operation.ADD, "c", "g"),
            *((Apply(Operation.COPY, "h", "c"), *doubled) if doubled else ()),
            _curve(Operation.TANH, "h", "h" if doubled else "c"),
            Apply(Operation.MULTIPLY, "h", "o", 2 * _UNIT - STATE_BITS),
        ),
    )


def _lstm_name(widening: int) -> str:
    reach = 1 << ACTIVATION_BITS - 1 - STATE_BITS + widening
    return f"lstm, cell state to {reach}" if widening else "lstm"


def lstm_kind(peak: float) -> str | None:
    """Return the kind of LSTM that holds cell states up to a magnitude with the most fraction bits; None if none."""
    fitting = (_lstm_name(w) for w in range(_WIDENINGS + 1) if peak <= math.ldexp(ACTIVATION_MAX, w - STATE_BITS))
    return next(fitting, None)


CELLS = {
    **{_lstm_name(widening): _lstm(STATE_BITS - widening) for widening in range(_WIDENINGS + 1)},
    "gru": Cell(
        ("h", "x", "r", "z", "n", "m"),
        {"h": STATE_BITS},
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
        {"h": STATE_BITS},
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
