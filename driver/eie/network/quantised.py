"""Where a quantised network's tensors hold integers times a scale, so that the array can compute with the integers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eie.network.graph import Array, Graph, Node
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
_LARGEST_BYTE = 255


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
    maker, low, high = makers.get(node.inputs[0]), -math.inf, math.inf
    while maker is not None and maker.operator in (*_KEEP_VALUES, "Clip"):
        if maker.operator == "Clip":  # to fewer bits than the type has
            bounds = [constants.get(name) if name else np.array(end) for name, end in _ends_of(maker, low, high)]
            if any(bound is None or bound.size != 1 for bound in bounds):
                return None
            low, high = max(low, float(bounds[0])), min(high, float(bounds[1]))  # type: ignore[arg-type]
        maker = makers.get(maker.inputs[0])
    if scale is None or scale.size != 1 or maker is None or maker.operator != "QuantizeLinear":
        return None
    zero_of_maker = constants.get((*maker.inputs, "", "")[2])
    dtype = zero_of_maker.dtype if zero_of_maker is not None else np.dtype(np.uint8)
    if dtype.itemsize > 1 or (zero is not None and zero.size != 1):
        return None
    offset = 0 if zero is None else int(zero.ravel()[0])
    low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    return Grid(float(scale.ravel()[0]), int(low) - offset, int(high) - offset) if low <= high else None


def _ends_of(clip: Node, low: float, high: float) -> list[tuple[str, float]]:
    """Return the names of a Clip's bounds, each with what it is where it is absent."""
    return list(zip((*clip.inputs[1:], "", "")[:2], (low, high), strict=True))


_GRIDS = {
    "Quant": _quant,
    "BipolarQuant": _bipolar,
    "MultiThreshold": _thresholds,
    "DequantizeLinear": _dequantised,
}


class Stage(NamedTuple):
    """What becomes of a linear map's outputs before anything else reads them.

    Parameters
    ----------
    gain, offset : ndarray, shape (R,) or (1,), float64
        Of a batch normalisation: outputs are multiplied and added to.
    grid : Grid
        On which they are put then; from 0 on behind a ReLU.
    nodes : tuple of str
        First outputs of the nodes that do it, in their order.
    """

    gain: NDArray[np.float64]
    offset: NDArray[np.float64]
    grid: Grid
    nodes: tuple[str, ...]

    def of(self, values: Array) -> Array:
        """Return what becomes of outputs, float, shape (B, R)."""
        levels = np.rint((values * self.gain + self.offset) / self.grid.scale)
        return np.clip(levels, self.grid.low, self.grid.high) * self.grid.scale


def stage_behind(graph: Graph, makers: Mapping[str, Node], constants: Mapping[str, Array], output: str) -> Stage | None:
    """Return the stage that alone reads a tensor, or None."""
    nodes, relu, name = [], False, output
    gain, offset = np.ones(1), np.zeros(1)
    ends = {value.name for value in graph.outputs}
    while True:
        readers = [node for node in graph.nodes if name in node.inputs]
        if name in ends or len(readers) != 1 or readers[0].inputs[0] != name:
            return None
        (node,) = readers
        nodes.append(node.outputs[0])
        name = node.outputs[0]
        if node.operator in _ENDS:
            break
        if node.operator == "BatchNormalization" and len(nodes) == 1:
            found = [constants.get(other) for other in node.inputs[1:]]
            if any(value is None for value in found):
                return None
            slope, shift, mean, variance = (np.asarray(value, np.float64) for value in found)
            gain = slope / np.sqrt(variance + node.attributes["epsilon"])
            offset = shift - mean * gain
        elif node.operator not in ("Relu", "QuantizeLinear") and not _narrows(node, makers):
            return None
        relu |= node.operator == "Relu"
    grid = data_grid(name, makers, constants)
    if grid is None or node.attributes.get("rounding_mode", "ROUND") != "ROUND" or not grid.low <= 0 <= grid.high:
        return None
    if node.operator == "DequantizeLinear":
        before = [makers[other] for other in nodes[:-1] if not _narrows(makers[other], makers)]
        first = before[-1] if before else None
        if first is None or first.operator != "QuantizeLinear" or _of(first, constants) != _of(node, constants):
            return None
    return Stage(gain, offset, grid._replace(low=max(grid.low, 0)) if relu else grid, tuple(nodes))


def _narrows(node: Node, makers: Mapping[str, Node]) -> bool:
    """Say whether a node clips a quantiser's integers."""
    maker = makers.get(node.inputs[0])
    return node.operator == "Clip" and maker is not None and maker.operator in ("QuantizeLinear", "Clip")


_ENDS = ("DequantizeLinear", "Quant")


def _of(node: Node, constants: Mapping[str, Array]) -> tuple[float, ...] | None:
    """Return scale and zero point of a quantiser for a whole tensor."""
    values = [constants.get(name) for name in node.inputs[1:] if name]
    if any(value is None or value.size != 1 for value in values):
        return None
    return tuple(float(value.ravel()[0]) for value in values if value is not None)


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
        largest = np.abs(row).max(initial=0)
        steps = np.diff(np.unique(np.concatenate([[0.0], np.abs(row)])))
        steps = steps[steps > largest * _RELATIVE_ERROR]
        if not len(steps):
            continue
        # The smallest step is that of the grid if there are many weights; of few, none need be next to another.
        for top in (int(min(np.rint(largest / steps.min()), _LARGEST)), *range(1, _LARGEST_BYTE + 1)):
            scale = largest / top
            found = np.rint(row / scale)
            if top < _LARGEST and (np.abs(found * scale - row) <= _RELATIVE_ERROR * np.abs(row)).all():
                integers[r], scales[r] = found, scale
                break
        else:
            return None
    return integers, scales
