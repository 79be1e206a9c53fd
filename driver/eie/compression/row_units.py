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

_TAKEN = ("Conv", "ConvTranspose", "LSTM", "GRU", "RNN")


def has_units(linear: LinearNode) -> bool:
    """Tell whether the host takes a node's products, whatever follows them, before anything else is computed."""
    return linear.node.operator in _TAKEN and not linear.attributes.get("cell")


def row_units(matrix: Matrix) -> NDArray[np.float64]:
    """Return the largest weight of each row, shape (R,); 1 of a row that has none."""
    peaks = np.abs(np.asarray(matrix.weight, np.float64)).max(axis=1, initial=0)
    return np.where(peaks > 0, peaks, 1)


def in_units(matrix: Matrix, units: NDArray[np.float64]) -> Matrix:
    """Return a matrix whose rows, and their biases, are in these units."""
    bias = None if matrix.bias is None else np.asarray(matrix.bias / units, np.float32)
    return replace(matrix, weight=np.asarray(matrix.weight / units[:, None], np.float32), bias=bias)
