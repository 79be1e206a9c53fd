"""Where a quantised network's tensors hold integers times a scale, so that the array can compute with the integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eie.network.graph import Array, Node
from eie.network.operators.quantisation import quant_limits


class Grid(NamedTuple):
    """The values of a tensor: integers from low to high, times scale."""

    scale: float
    low: int
    high: int


_KEEP_VALUES = (
    "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "MaxPool", "GlobalMaxPool", "Gather",
    "Slice", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "Split",
)  # fmt: skip
"""Operators whose outputs hold no values but those of their first input."""
_RELATIVE_ERROR = 1e-5
_LARGEST = 1 << 15


def data_grid(name: str, makers: Mapping[str, Node], constants: Mapping[str, Array]) -> Grid | None:
    """Return the grid on which a tensor's values lie, or None if it is not known to have one."""
    node = makers.get(name)
    while node is not None and node.operator in (*_KEEP_VALUES, "Relu"):
        node = makers.get(node.inputs[0])
    if node is None or node.operator not in _GRIDS:
        return None
    values = [constants.get(other) for other in node.inputs[1:]]
    grid = _GRIDS[node.operator](node, values, makers, constants)
    return grid if grid is not None and grid.scale > 0 and max(-grid.low, grid.high) < _LARGEST else None


def _quant(node: Node, values: Sequence[Array | None], makers: object, constants: object) -> Grid | None:
    scale, zero, bits = values
    if any(value is None or value.size != 1 for value in values) or float(zero) != int(zero):  # type: ignore[arg-type]
        return None
    low, high = quant_limits(float(bits), node.attributes["signed"], node.attributes["narrow"])  # type: ignore[arg-type]
    return Grid(float(scale), int(low - int(zero)), int(high - int(zero)))  # type: ignore[arg-type]


def _bipolar(node: Node, values: Sequence[Array | None], makers: object, constants: object) -> Grid | None:
    (scale,) = values
    return Grid(float(scale), -1, 1) if scale is not None and scale.size == 1 else None


def _thresholds(node: Node, values: Sequence[Array | None], makers: object, constants: object) -> Grid | None:
    (thresholds,) = values
    scale, bias = node.attributes["out_scale"], node.attributes["out_bias"]
    if thresholds is None or not scale or bias / scale != int(bias / scale):
        return None
    first = int(bias / scale)
    return Grid(scale, first, first + thresholds.shape[1])


def _dequantised(
    node: Node, values: Sequence[Array | None], makers: Mapping[str, Node], constants: Mapping[str, Array]
) -> Grid | None:
    scale, zero = (*values, None)[:2]
    maker = makers.get(node.inputs[0])
    while maker is not None and maker.operator in _KEEP_VALUES:
        maker = makers.get(maker.inputs[0])
    if scale is None or scale.size != 1 or maker is None or maker.operator != "QuantizeLinear":
        return None
    zero_of_maker = constants.get((*maker.inputs, "", "")[2])
    dtype = zero_of_maker.dtype if zero_of_maker is not None else np.dtype(np.uint8)
    if dtype.itemsize > 1 or (zero is not None and zero.size != 1):
        return None
    offset = 0 if zero is None else int(zero.ravel()[0])
    return Grid(float(scale.ravel()[0]), int(np.iinfo(dtype).min) - offset, int(np.iinfo(dtype).max) - offset)


_GRIDS = {
    "Quant": _quant,
    "BipolarQuant": _bipolar,
    "MultiThreshold": _thresholds,
    "DequantizeLinear": _dequantised,
}


def integer_rows(weight: Array) -> tuple[Array, Array] | None:
    """Write each row of a matrix as small integers times a scale.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float

    Returns
    -------
    tuple of ndarray, shapes (R, C) int64 and (R,) float64, or None
        None if a row is no such thing to within the rounding of its floats.
    """
    integers = np.zeros(weight.shape, np.int64)
    scales = np.ones(len(weight))
    for r, row in enumerate(np.asarray(weight, np.float64)):
        steps = np.diff(np.unique(np.concatenate([[0.0], np.abs(row)])))
        steps = steps[steps > np.abs(row).max(initial=0) * _RELATIVE_ERROR]
        if not len(steps):
            continue
        rough = steps.min()
        found = np.rint(row / rough)
        top = np.argmax(np.abs(found))
        scales[r] = row[top] / found[top]  # the largest one has the smallest relative error
        found = np.rint(row / scales[r])
        if np.abs(found).max() >= _LARGEST or not np.allclose(found * scales[r], row, rtol=_RELATIVE_ERROR, atol=0):
            return None
        integers[r] = found
    return integers, scales
