"""Units of rows: what the host multiplies an output of the array by, where it takes the outputs anyway.

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
_TAKEN = ("Conv", "ConvTranspose", "LSTM", "GRU", "RNN")


def has_units(linear: LinearNode) -> bool:
    """Tell whether the host takes a node's products, whatever follows them, before anything else is computed."""
    return linear.node.operator in _TAKEN and not linear.attributes.get("cell")


def row_units(matrix: Matrix, terms: int) -> NDArray[np.float64] | None:
    """Return the largest weight of each row, shape (R,), 1 of a row that has none; None where one unit serves all."""
    peaks = np.abs(np.asarray(matrix.weight, np.float64)).max(axis=1, initial=0)
    known = peaks[peaks > 0]
    if not len(known) or (terms == 1 and known.max() <= _SPREAD * known.min()):
        return None
    return np.where(peaks > 0, peaks, 1)


def in_units(matrix: Matrix, units: NDArray[np.float64]) -> Matrix:
    """Return a matrix whose rows, and their biases, are in these units."""
    bias = None if matrix.bias is None else np.asarray(matrix.bias / units, np.float32)
    return replace(matrix, weight=np.asarray(matrix.weight / units[:, None], np.float32), bias=bias)
