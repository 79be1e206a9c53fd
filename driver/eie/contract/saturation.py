"""How many outputs are lost to saturation: what the counter `saturated` of `eie.contract.registers` counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import SCALED_BITS
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN, finish

_LIMIT = 1 << SCALED_BITS - 1


def lost_outputs(sums: NDArray[np.int64], shift: int, relu: bool, outputs: NDArray[np.int16]) -> int:
    """Count what rounds to more than an int16 holds, or is less and no ReLU makes it 0.

    Parameters
    ----------
    sums, shift, relu
        As given to `finish`.
    outputs : ndarray, shape of the sums, int16
        What it returned.
    """
    # Few runs saturate, and int16 is searched much faster.
    if not _reach_an_end(outputs):
        return 0
    return int(np.count_nonzero(_beyond(sums, shift, relu)))


def lost_scaled_outputs(
    sums: NDArray[np.int64],
    scale: NDArray[np.int16],
    pre_shift: int,
    shift: int,
    relu: bool,
    low: int,
    high: int,
    outputs: NDArray[np.int16],
) -> int:
    """Count also those whose sum does not fit the multiplier's operand; what is clipped, is as without saturation.

    Parameters
    ----------
    sums, scale, pre_shift, shift, relu, low, high
        As given to `finish_scaled`.
    outputs : ndarray, shape of the sums, int16
        What it returned.
    """
    lowered = sums >> pre_shift
    if not _reach_an_end(outputs) and lowered.max(initial=0) < _LIMIT and lowered.min(initial=0) >= -_LIMIT:
        return 0
    operands = np.clip(lowered, -_LIMIT, _LIMIT - 1)
    products = operands * scale.astype(np.int64)
    lost = _beyond(products, shift, relu) | (operands != lowered) & ((products >= 0) | (not relu))
    unclipped = finish(products, shift, relu)
    return int(np.count_nonzero(lost & (unclipped >= low) & (unclipped <= high)))


def _reach_an_end(outputs: NDArray[np.int16]) -> bool:
    return bool(outputs.max(initial=0) == ACTIVATION_MAX or outputs.min(initial=0) == ACTIVATION_MIN)


def _beyond(values: NDArray[np.int64], shift: int, relu: bool) -> NDArray[np.bool_]:
    above = (values + (1 << shift >> 1)) >> shift > ACTIVATION_MAX
    return above if relu else above | (values < ACTIVATION_MIN << shift)
