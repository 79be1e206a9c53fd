"""The arithmetic contract of an `eie.Layer`: shapes, ranges, and an accumulator that cannot overflow."""

from __future__ import annotations

from typing import Any

import numpy as np

from eie.contract.config import ACCUMULATOR_BITS, BIAS_BITS, SHIFT_LIMIT
from eie.contract.fixed_point import ACTIVATION_MIN
from eie.errors import LayerError
from eie.network.limits import ACTIVATION_FRACTION_BITS, LINES_LIMIT, WEIGHT_FRACTION_BITS

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

    require(min(layer.rows, layer.columns) >= 1, "rows and columns must be at least 1")
    require(max(layer.rows, layer.columns) <= LINES_LIMIT, f"rows and columns must be at most {LINES_LIMIT}")
    for name, (low, high) in _FRACTION_BITS.items():
        bits = getattr(layer, name)
        require(low <= bits <= high, f"{name} is {bits}; it must lie in {low}..{high}: scale the network's numbers")
    for number, term in enumerate(layer.terms):
        try:
            term.check(layer.rows, layer.columns)
        except LayerError as error:
            require(False, f"{'second term: ' if number else ''}{error}")
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
    sums = np.zeros(layer.rows)
    for term in layer.terms:
        magnitudes = np.abs(term.codebook.astype(np.float64))
        for first in range(0, len(term.codes), _BOUND_BLOCK):
            part = slice(first, first + _BOUND_BLOCK)
            sums += np.bincount(term.row_indices[part], magnitudes[term.codes[part]], layer.rows)
    worst = sums.astype(np.int64) * -ACTIVATION_MIN + np.abs(layer.bias)
    return int(worst.max()) + (1 << layer.shift >> 1)
