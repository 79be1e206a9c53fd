"""Element-wise functions on activations, to the bit: what an ELEMENTWISE computes, and the table of the curved ones.

Tanh is piecewise linear. On segment i, tanh(x) = ((x + offset[i]) * slope[i]) >> shift: what a row's bias and scale do
to a sum, so that the output units compute it with what they have. Its argument has `TANH_INPUT_BITS` fraction bits, -8
to 8; with a shift of `CURVE_SHIFT` the result has 15. Sigmoid is (tanh(x / 2) + 1) / 2: its argument has a bit less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ACTIVATION_BITS
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN, finish
from eie.contract.saturation import lost_outputs


class Operation(IntEnum):
    """What an ELEMENTWISE computes of a, an activation at `address`, and b, one at `source`."""

    COPY = 0
    ADD = 1
    SUBTRACT = 2
    MAXIMUM = 3
    MULTIPLY = 4
    TANH = 5
    SIGMOID = 6


OPERATION_TEXT = {
    Operation.COPY: "b",
    Operation.ADD: "a + b",
    Operation.SUBTRACT: "a - b",
    Operation.MAXIMUM: "max(a, b)",
    Operation.MULTIPLY: "a * b",
    Operation.TANH: "(b + offset) * slope, of b's segment",
    Operation.SIGMOID: "as of TANH; then y is (y >> 1) + 2^14",
}

CURVES = (Operation.TANH, Operation.SIGMOID)
"""Flat at the ends of int16: what saturates there is not lost."""

MULTIPLIED = (Operation.MULTIPLY, Operation.TANH, Operation.SIGMOID)
"""What goes through the multiplier."""

SEGMENT_BITS = 6
SEGMENTS = 1 << SEGMENT_BITS
"""Segments of tanh; a segment's number has their order in two's complement, as the high bits of x do."""

SEGMENT_WIDTH_BITS = ACTIVATION_BITS - SEGMENT_BITS - 1
"""Segments are 2**SEGMENT_WIDTH_BITS wide and lie around 0; the outermost two reach to the ends of int16."""

TANH_INPUT_BITS = 12
SIGMOID_INPUT_BITS = TANH_INPUT_BITS - 1
"""Fraction bits of the arguments."""

CURVE_SHIFT = 11
"""The shift with which tanh and sigmoid have `CURVE_OUTPUT_BITS` fraction bits; sigmoid is none with any other."""

CURVE_OUTPUT_BITS = 15

_LEAST_SLOPE = 5
"""With less, x + offset would not fit the 25 bits of the multiplier's operand where tanh is near 1."""


def elementwise(operation: int, a: NDArray[np.int16], b: NDArray[np.int16], shift: int) -> NDArray[np.int16]:
    """Return what an ELEMENTWISE makes of activations: rounded half up, shifted, saturated to int16.

    Parameters
    ----------
    operation : Operation
    a, b : ndarray, int16
        Activations at `address` and at `source`.
    shift : int
        0 to 31.
    """
    outputs = finish(_EXACT[Operation(operation)](a.astype(np.int64), b.astype(np.int64)), shift, relu=False)
    return (outputs >> 1) + np.int16(1 << ACTIVATION_BITS - 2) if operation == Operation.SIGMOID else outputs


def lost_results(operation: int, a: NDArray[np.int16], b: NDArray[np.int16], shift: int, y: NDArray[np.int16]) -> int:
    """Count the results of `elementwise` that are lost to saturation; of `CURVES` none is."""
    if operation in CURVES:
        return 0
    return lost_outputs(_EXACT[Operation(operation)](a.astype(np.int64), b.astype(np.int64)), shift, False, y)


def segment(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the segments of int16 arguments, shape of x."""
    half = SEGMENTS >> 1
    return np.clip(x >> SEGMENT_WIDTH_BITS, -half, half - 1) & SEGMENTS - 1


def _on_line(a: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    number = segment(x)
    return (x + np.array(OFFSETS, np.int64)[number]) * np.array(SLOPES, np.int64)[number]


def _fit() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return offset and slope of every segment: its line is as far above tanh as below it."""
    half = SEGMENTS >> 1
    offsets, slopes = [0] * SEGMENTS, [0] * SEGMENTS
    for number in range(-half, half):
        first = ACTIVATION_MIN if number == -half else number << SEGMENT_WIDTH_BITS
        last = ACTIVATION_MAX if number == half - 1 else (number + 1 << SEGMENT_WIDTH_BITS) - 1
        steep = (_tanh(last + 1) - _tanh(first)) / (last + 1 - first)
        slope = max(_LEAST_SLOPE, round(math.ldexp(steep, CURVE_SHIFT)))
        misses = [_tanh(x) - math.ldexp(x * slope, -CURVE_SHIFT) for x in range(first, last + 1, 8)]
        # 0 stays 0: what lies behind the last of some values stays empty.
        passes_zero = first <= 0 <= last + 1
        offset = 0 if passes_zero else round(math.ldexp((min(misses) + max(misses)) / 2, CURVE_SHIFT) / slope)
        offsets[number & SEGMENTS - 1], slopes[number & SEGMENTS - 1] = offset, slope
    return tuple(offsets), tuple(slopes)


def _tanh(x: int) -> float:
    return math.ldexp(math.tanh(math.ldexp(x, -TANH_INPUT_BITS)), CURVE_OUTPUT_BITS)


OFFSETS, SLOPES = _fit()

_EXACT: dict[Operation, Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]] = {
    Operation.COPY: lambda a, b: b,
    Operation.ADD: lambda a, b: a + b,
    Operation.SUBTRACT: lambda a, b: a - b,
    Operation.MAXIMUM: np.maximum,
    Operation.MULTIPLY: lambda a, b: a * b,
    Operation.TANH: _on_line,
    Operation.SIGMOID: _on_line,
}
