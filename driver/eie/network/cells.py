"""What the cells of recurrent layers compute, to the bit.

A cell is a list of steps over named vectors: gates, which are layers of the array, and element-wise operations
(`eie.contract.functions`). The integer reference and the packed program both carry out this one list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from eie.contract.functions import CURVE_OUTPUT_BITS, CURVE_SHIFT, SIGMOID_INPUT_BITS, TANH_INPUT_BITS, Operation

STATE_BITS = TANH_INPUT_BITS
"""Fraction bits of the states: -8 to 8."""


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
            Apply(Operation.MULTIPLY, "c", "f", _UNIT),
            Apply(Operation.MULTIPLY, "g", "i", 2 * _UNIT - STATE_BITS),
            Apply(Operation.ADD, "c", "g"),
            _curve(Operation.TANH, "h", "c"),
            Apply(Operation.MULTIPLY, "h", "o", 2 * _UNIT - STATE_BITS),
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
