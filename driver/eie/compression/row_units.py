"""Units of a convolution's rows: where output channels differ much in size, each has its own.

Shared values serve a layer as a whole, and so does the fixed point of its outputs. Batch normalisation folded into a
convolution leaves channels that differ by orders of magnitude; the weights of the small ones would all be the same few
values. The host takes a convolution's outputs anyway, and multiplies them by their channels' units.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eie.network.operators.linear import Matrix

_SPREAD = 8.0
"""Ratio of the largest row's root mean square to the smallest's up to which one unit serves all."""


def row_units(matrix: Matrix) -> NDArray[np.float64] | None:
    """Return a power of two near the size of each row, shape (R,), or None where rows are much alike."""
    weight = np.asarray(matrix.weight, np.float64)
    size = np.sqrt((weight**2).sum(axis=1) / np.maximum(1, (weight != 0).sum(axis=1)))
    known = size[size > 0]
    if not len(known) or known.max() <= _SPREAD * known.min():
        return None
    size[size == 0] = 1
    return 2.0 ** np.rint(np.log2(size))


def in_units(matrix: Matrix, units: NDArray[np.float64]) -> Matrix:
    """Return a matrix whose rows, and their biases, are in these units."""
    bias = None if matrix.bias is None else np.asarray(matrix.bias / units, np.float32)
    return replace(matrix, weight=np.asarray(matrix.weight / units[:, None], np.float32), bias=bias)
