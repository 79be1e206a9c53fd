"""Dense forward passes of whole batches, a block of rows at a time, so that no second dense matrix is ever held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.network.model import Layer
from eie.network.operators.linear import Matrix

_BLOCK = 1 << 21


def forward_pruned(
    x: NDArray[np.float32],
    weight: NDArray[np.float32],
    mask: NDArray[np.bool_] | None,
    bias: NDArray[np.float32] | None,
    relu: bool,
) -> NDArray[np.float32]:
    """Compute a float layer with only the weights of a mask: float32, shape (B, C) -> float32, shape (B, R)."""

    def kept(rows: slice) -> NDArray[np.float32]:
        return weight[rows] if mask is None else weight[rows] * mask[rows]

    return _finish_float(_product(x, weight.shape, kept), bias, relu)


def forward_shared(
    x: NDArray[np.float32],
    dense_codes: NDArray[np.uint8],
    centroids: NDArray[np.float64],
    bias: NDArray[np.float32] | None,
    relu: bool,
    units: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Compute a float layer with shared weights before quantisation: float32, shape (B, C) -> float32, shape (B, R)."""
    values = centroids.astype(np.float32)
    out = _product(x, dense_codes.shape, lambda rows: values[dense_codes[rows]])
    if units is not None:
        out *= units.astype(np.float32)
    return _finish_float(out, bias, relu)


def forward_integer(
    a: NDArray[np.int16], weights: NDArray[np.int32], layer: Layer, groups: int = 1
) -> NDArray[np.int16]:
    """Compute a compressed layer, equal to `reference_layer`: int16, shape (B, C) -> int16, shape (B, R).

    The weights are `Layer.dense_integers`, all of them within so many groups (`Matrix.groups`). A float64 holds every
    integer up to 2**53, and no partial sum of the 48-bit accumulator exceeds 2**47, so the products of float64 matrices
    are exact in any order.
    """
    if groups > 1:
        sums = Matrix(weights.astype(np.float64), groups=groups).times(a.astype(np.float64))
    else:
        sums = _product(a.astype(np.float64), weights.shape, lambda rows: weights[rows].astype(np.float64))
    return layer.finish(sums.astype(np.int64) + layer.bias)


def _product(x: NDArray[Any], shape: tuple[int, ...], weights_of: Callable[[slice], NDArray[Any]]) -> NDArray[Any]:
    rows, columns = shape
    transposed = np.ascontiguousarray(x.T)
    out = np.empty((rows, len(x)), x.dtype)
    step = max(1, _BLOCK // columns)
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        np.matmul(weights_of(block), transposed, out=out[block])
    return out.T


def _finish_float(out: NDArray[np.float32], bias: NDArray[np.float32] | None, relu: bool) -> NDArray[np.float32]:
    if bias is not None:
        out += bias
    if relu:
        np.maximum(out, 0, out=out)
    return out
