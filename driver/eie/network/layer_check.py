"""The arithmetic contract of an `eie.Layer`: shapes, ranges, and an accumulator that cannot overflow."""

from __future__ import annotations

from typing import Any

import numpy as np

from eie.contract.config import ACCUMULATOR_BITS, BIAS_BITS, CODEBOOK_SIZE, SHIFT_LIMIT
from eie.contract.fixed_point import ACTIVATION_MIN
from eie.errors import LayerError
from eie.network.limits import ACTIVATION_FRACTION_BITS, LINES_LIMIT, NONZEROS_LIMIT, WEIGHT_FRACTION_BITS

Layer = Any
"""`eie.network.model.Layer`, whose module imports this one."""

_ACCUMULATOR_LIMIT = 1 << (ACCUMULATOR_BITS - 1)
_FRACTION_BITS = {
    "input_fraction_bits": ACTIVATION_FRACTION_BITS,
    "output_fraction_bits": ACTIVATION_FRACTION_BITS,
    "weight_fraction_bits": WEIGHT_FRACTION_BITS,
}
_BOUND_BLOCK = 1 << 20
"""Weights whose magnitudes are added up at a time."""


def check_layer(layer: Any) -> None:
    """Raise `LayerError` if a layer breaks the arithmetic contract."""

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise LayerError(f"layer {layer.name!r} ({layer.rows}x{layer.columns}): {message}")

    starts, rows, codes = layer.column_starts, layer.row_indices, layer.codes
    require(min(layer.rows, layer.columns) >= 1, "rows and columns must be at least 1")
    require(max(layer.rows, layer.columns) <= LINES_LIMIT, f"rows and columns must be at most {LINES_LIMIT}")
    require(len(codes) <= NONZEROS_LIMIT, f"it has {len(codes)} weights; the limit is {NONZEROS_LIMIT}")
    for name, (low, high) in _FRACTION_BITS.items():
        bits = getattr(layer, name)
        require(low <= bits <= high, f"{name} is {bits}; it must lie in {low}..{high}: scale the network's numbers")
    require(starts.shape == (layer.columns + 1,), f"column_starts has shape {starts.shape}, not ({layer.columns + 1},)")
    require(starts[0] == 0 and bool((np.diff(starts) >= 0).all()), "column_starts must ascend from 0")
    require(
        rows.shape == codes.shape == (starts[-1],), f"column_starts ends at {starts[-1]}, there are {len(codes)} codes"
    )
    if len(rows):
        require(rows.min() >= 0 and rows.max() < layer.rows, f"row indices {rows.min()}..{rows.max()} out of range")
        ascending = np.diff(rows) > 0
        ascending[starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(rows))] - 1] = True
        require(bool(ascending.all()), "row indices must ascend strictly within a column")
        require(bool((codes != 0).all()) and codes.max() < CODEBOOK_SIZE, "stored codes must be 1 to 15")
    require(layer.codebook.shape == (CODEBOOK_SIZE,), f"codebook has shape {layer.codebook.shape}, not (16,)")
    require(
        layer.codebook[0] == 0,
        f"codebook entry 0 is {layer.codebook[0]}; it stands for an absent weight, so it must be 0",
    )
    require(layer.bias.shape == (layer.rows,), f"bias has shape {layer.bias.shape}, not ({layer.rows},)")
    limit = 1 << (BIAS_BITS - 1)
    extreme = int(layer.bias[np.argmax(np.abs(layer.bias))])
    require(-limit <= extreme < limit, f"bias {extreme} does not fit int32; use fewer weight or input fraction bits")
    require(0 <= layer.shift <= SHIFT_LIMIT, f"shift {layer.shift} is outside 0..{SHIFT_LIMIT}")
    scales = layer.rows if layer.scaling is None else len(layer.scaling.scale)
    require(scales == layer.rows, f"{scales} row scales; there must be one for each row")
    bound = accumulator_bound(layer)
    require(
        bound < _ACCUMULATOR_LIMIT,
        f"an accumulator could reach {bound}, beyond 48 bits (2**47 = {_ACCUMULATOR_LIMIT}); "
        "use fewer weight fraction bits or split the layer's columns",
    )


def accumulator_bound(layer: Any) -> int:
    """Return the largest magnitude that any accumulator, bias and rounding term included, can reach."""
    magnitudes = np.abs(layer.codebook.astype(np.float64))
    sums = np.zeros(layer.rows)
    for first in range(0, layer.nonzeros, _BOUND_BLOCK):
        part = slice(first, first + _BOUND_BLOCK)
        sums += np.bincount(layer.row_indices[part], magnitudes[layer.codes[part]], layer.rows)
    worst = sums.astype(np.int64) * -ACTIVATION_MIN + np.abs(layer.bias)
    return int(worst.max()) + (1 << layer.shift >> 1)
