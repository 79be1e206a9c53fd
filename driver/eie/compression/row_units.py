"""Units of rows: what a row's outputs are multiplied by, by the host where it takes them anyway, or by the array.

Shared values serve a layer as a whole, and so does the fixed point of its outputs. In units of its largest weight, each
row uses all of the shared values' range: rows of a recurrent layer's gates gain some 4 dB by that, and the channels of
a convolution with a batch normalisation folded in, which differ by orders of magnitude, are told apart at all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eie.network.linear_maps import LinearNode
from eie.network.operators.linear import Matrix

_SPREAD = 8.0
"""Ratio of the largest row's size to the smallest's up to which one unit serves all rows of 15 shared values: then they
stay shared by the whole layer, as training goes on with them."""
LARGEST_SPREAD = 64.0
"""Of units that the array multiplies by: a scale of 16 bits has at least 8 of precision."""
_BIAS_SPREAD = 16.0
"""Likewise, so that a bias in its row's unit takes at most four bits of the weights' precision."""
_BIAS_OF_UNITS = 32.0
"""Largest bias of a row, in units of a weight times the largest input: what more there is would leave all rows' weights
too few of the 32 bits that biases have. Such are channels that a batch normalisation has all but switched off."""
VECTORS_FOR_OFFSETS = 16
"""Fewest vectors of a calibration that tell rows which hardly vary from such as were merely not seen to."""
_TAKEN = ("Conv", "ConvTranspose", "LSTM", "GRU", "RNN")


def has_units(linear: LinearNode) -> bool:
    """Tell whether the host takes a node's products, whatever follows them, before anything else is computed."""
    return linear.node.operator in _TAKEN and not linear.attributes.get("cell")


def row_units(matrix: Matrix, terms: int, input_peak: float) -> NDArray[np.float64] | None:
    """Return the largest weight of each row, shape (R,), or more if the bias is far larger than what inputs up to the
    peak add; 1 of a row of zeros; None where one unit serves all.
    """
    peaks = np.abs(np.asarray(matrix.weight, np.float64)).max(axis=1, initial=0)
    if matrix.bias is not None and input_peak:
        peaks = np.maximum(peaks, np.abs(np.asarray(matrix.bias, np.float64)) / (_BIAS_OF_UNITS * input_peak))
    known = peaks[peaks > 0]
    if not len(known) or (terms == 1 and known.max() <= _SPREAD * known.min()):
        return None
    return np.where(peaks > 0, peaks, 1)


def in_units(matrix: Matrix, units: NDArray[np.float64]) -> Matrix:
    """Return a matrix whose rows, and their biases, are in these units."""
    bias = None if matrix.bias is None else np.asarray(matrix.bias / units, np.float32)
    return replace(matrix, weight=np.asarray(matrix.weight / units[:, None], np.float32), bias=bias)


def offsets_of_rows(
    lows: NDArray[np.float64], highs: NDArray[np.float64], may_have: bool
) -> tuple[NDArray[np.float64] | None, float]:
    """Return what the host adds to rows' outputs, shape (R,), or None, and the largest magnitude that the array gives.

    A row that hardly varies about a number far from 0, as a channel that is nearly all bias, would leave all others few
    of the outputs' bits. Of such rows the array gives how far they are from the middle of their range, and has twice
    the room of the widest range for what calibration has not seen.

    Parameters
    ----------
    lows, highs : ndarray, shape (R,), float64
        Range of each row's outputs, in its unit; infinity and minus infinity of rows without any.
    may_have : bool
        Whether there may be offsets at all.
    """
    peaks = np.maximum(-lows, highs)
    largest, room = float(peaks.max(initial=0)), float((highs - lows).max(initial=0))
    if not may_have or largest <= 2 * room:
        return None, largest
    far = peaks > room
    offsets = np.zeros(len(peaks))
    offsets[far] = (lows[far] + highs[far]) / 2
    return offsets, room


def scales_of_rows(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the units of rows that the array itself multiplies by, shape (R,), the largest 1: their largest weights.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float64
        Not all 0.
    bias : ndarray, shape (R,), float64
    """
    peaks = np.abs(weight).max(axis=1, initial=0)
    return np.where(peaks > 0, within_spread(peaks, bias), 1)


def within_spread(units: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return units over the largest, but not so small that the scale of a row, or the weights beside its bias, which is
    in the same unit, would have too few bits.
    """
    biases = np.abs(bias) / (np.abs(bias).max() or 1)
    return np.maximum(np.maximum(units / units.max(), 1 / LARGEST_SPREAD), biases / _BIAS_SPREAD)
