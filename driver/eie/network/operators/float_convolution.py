"""Convolutions in floats, without the vectors that a product elsewhere takes.

A vector holds a pixel as often as there are taps, in runs as short as a row of the kernel. Here the channels lie
innermost, only the taps along the last axis are copied out, in long runs, and the rows of the kernel are summed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.network.operators.table import Array
from eie.network.operators.windows import Geometry


def convolve_floats(x: Array, weight: Array, groups: int, geometry: Geometry) -> Array | None:
    """Convolve in floats; None where vectors are better.

    Parameters
    ----------
    x : ndarray, shape (B, C, *sizes)
    weight : ndarray, shape (groups, R / groups, C / groups * taps)
        As `eie.network.operators.linear.Matrix.blocks`.
    groups : int
    geometry : Geometry

    Returns
    -------
    ndarray, shape (B * outputs, R), or None
    """
    rank, channels, rows = len(geometry.kernel), x.shape[1], weight.shape[0] * weight.shape[1]
    depthwise = groups == channels == rows
    pixels = len(x) * int(np.prod(geometry.outputs))
    if rank not in (1, 2) or (groups > 1 and not depthwise) or pixels < rows:
        return None  # with few pixels turning the weights round costs more than it saves
    if rank == 1:
        x, geometry = x[:, :, None], geometry.as_picture()
    kernel = weight.reshape(rows, -1, *geometry.kernel)
    reach = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(geometry.outputs, geometry.strides, geometry.kernel, geometry.dilations, strict=True)
    ]
    padded = np.ascontiguousarray(geometry.padded(x.transpose(0, 2, 3, 1), reach, 1))
    outputs = _by_channel(padded, kernel[:, 0], geometry) if depthwise else _by_row(padded, kernel, geometry)
    return outputs.reshape(pixels, rows)


def _windows(padded: Array, geometry: Geometry) -> NDArray[np.generic]:
    """Return a view of the columns that each output sees, shape (B, rows, W, taps, C)."""
    _, stride = geometry.strides
    batch, row, column, channel = padded.strides
    shape = (*padded.shape[:2], geometry.outputs[1], geometry.kernel[1], padded.shape[3])
    steps = (batch, row, column * stride, column * geometry.dilations[1], channel)
    return np.lib.stride_tricks.as_strided(padded, shape, steps, writeable=False)


def _row_slices(geometry: Geometry) -> list[slice]:
    """Return for each row of the kernel which rows of the picture it meets."""
    span, step = (geometry.outputs[0] - 1) * geometry.strides[0] + 1, geometry.strides[0]
    return [slice(k * geometry.dilations[0], k * geometry.dilations[0] + span, step) for k in range(geometry.kernel[0])]


def _by_row(padded: Array, kernel: Array, geometry: Geometry) -> Array:
    weights = np.ascontiguousarray(kernel.transpose(2, 3, 1, 0)).reshape(geometry.kernel[0], -1, len(kernel))
    found = np.ascontiguousarray(_windows(padded, geometry))
    columns = found.reshape(*found.shape[:3], -1)
    y = None
    for rows, matrix in zip(_row_slices(geometry), weights, strict=True):
        part = columns[:, rows].reshape(-1, columns.shape[3]) @ matrix
        y = part if y is None else np.add(y, part, out=y)
    assert y is not None
    return y


def _by_channel(padded: Array, kernel: Array, geometry: Geometry) -> Array:
    views = _windows(padded, geometry)
    y = None
    for rows, taps in zip(_row_slices(geometry), kernel.transpose(1, 2, 0), strict=True):
        for i, tap in enumerate(taps):
            part = views[:, rows, :, i] * tap
            y = part if y is None else np.add(y, part, out=y)
    assert y is not None
    return y
