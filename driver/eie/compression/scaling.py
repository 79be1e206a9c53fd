"""The fixed-point scales of a layer: fraction bits of inputs, outputs and weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import values_of
from eie.contract.config import (
    ACCUMULATOR_BITS,
    ACTIVATION_BITS,
    BIAS_BITS,
    PRE_SHIFTS,
    SCALE_BITS,
    SCALED_BITS,
    SHIFT_LIMIT,
)
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie.errors import LayerError
from eie.network.limits import ACTIVATION_FRACTION_BITS
from eie.network.scaling import Scaling

WEIGHT_MAX = ACTIVATION_MAX
BIAS_MAX = (1 << (BIAS_BITS - 1)) - 1
_COARSE_WEIGHT_MAX = 127
"""Largest stored weight of a layer whose inputs may as well be coarser."""
_ACCUMULATOR_MAX = (1 << (ACCUMULATOR_BITS - 1)) - 1


@dataclass(frozen=True)
class Scales:
    """Fraction bits of a layer; a stored integer i stands for i / 2**fraction_bits. They may be negative."""

    input_fraction_bits: int
    output_fraction_bits: int
    weight_fraction_bits: int

    @property
    def shift(self) -> int:
        """Rounding shift from the accumulator's scale to the output's."""
        return self.accumulator_fraction_bits - self.output_fraction_bits

    @property
    def accumulator_fraction_bits(self) -> int:
        """Fraction bits of products, accumulators and biases."""
        return self.input_fraction_bits + self.weight_fraction_bits

    def codebook(self, centroids: NDArray[np.float64]) -> NDArray[np.int16]:
        """Return the shared weights in fixed point, int16, rounded half to even; a tiny one may become 0."""
        return np.rint(np.ldexp(centroids, self.weight_fraction_bits)).astype(np.int16)

    def bias(self, bias: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the bias in the accumulator's scale, int64 with values that fit int32."""
        return np.rint(np.ldexp(bias.astype(np.float64), self.accumulator_fraction_bits)).astype(np.int64)


def fraction_bits(peak: float, largest: int = ACTIVATION_MAX) -> int:
    """Return the most fraction bits with which magnitudes up to `peak` stay within the integer `largest`."""
    if peak <= 0:
        return 0
    bits = math.floor(math.log2(largest) - math.log2(peak))
    # The logarithms are rounded: correct the result by the exact comparison.
    while math.ldexp(peak, bits) > largest:
        bits -= 1
    while math.ldexp(peak, bits + 1) <= largest:
        bits += 1
    return bits


def activation_fraction_bits(peak: float) -> int:
    """Return the most fraction bits of activations up to `peak`, not more than float32 has for an int16."""
    return min(fraction_bits(peak), ACTIVATION_FRACTION_BITS[1])


def finest_inputs(
    codebooks: NDArray[np.float64], bias: NDArray[np.float32], output_peak: float, largest_shift: int = SHIFT_LIMIT
) -> int:
    """Return the most fraction bits of a layer's inputs with which the bias and the shift leave some to the weights.

    Inputs that are next to nothing beside the bias, such as means of what a normalisation has centred, need no more.
    Parameters as of `choose_scales`.
    """
    weight_bits = fraction_bits(float(np.abs(codebooks).max()), _COARSE_WEIGHT_MAX)
    most = largest_shift + activation_fraction_bits(output_peak) - weight_bits
    bias_peak = float(np.abs(bias).max(initial=0))
    return min(most, fraction_bits(bias_peak, BIAS_MAX) - weight_bits) if bias_peak else most


def choose_scales(
    codebooks: NDArray[np.float64],
    codes: NDArray[np.uint8],
    row_indices: NDArray[np.int32],
    bias: NDArray[np.float32],
    input_fraction_bits: int,
    output_peak: float,
    name: str = "",
    largest_shift: int = SHIFT_LIMIT,
    most_weight_bits: int | None = None,
) -> Scales:
    """Choose the fraction bits of a layer's weights and outputs.

    The weights get as many as int16 allows, less what the 32-bit bias, the largest shift or the 48-bit accumulator
    forbid; the outputs as many as `output_peak` allows, but not more than the accumulator has.

    Parameters
    ----------
    codebooks : ndarray, shape (16,) or (terms, 16), float64
    codes, row_indices : ndarray, shape (nnz,)
        The layer's weights; see `eie.compression.codebooks`.
    bias : ndarray, shape (R,), float32
    input_fraction_bits : int
    output_peak : float
        Largest magnitude that an output should hold without saturation.
    name : str, optional
        The layer's name for messages.
    largest_shift : int
    most_weight_bits : int, optional
        Of weights that share a codebook with another layer's.

    Raises
    ------
    LayerError
        If so few weight bits are left that every shared weight would become 0.
    """
    codebooks = np.atleast_2d(codebooks)
    weight_peak = float(np.abs(codebooks).max())
    bias_peak = float(np.abs(bias).max(initial=0))
    output_bits = activation_fraction_bits(output_peak)
    weight_bits = fraction_bits(weight_peak, WEIGHT_MAX) if weight_peak else output_bits - input_fraction_bits
    weight_bits = min(weight_bits, largest_shift + output_bits - input_fraction_bits)
    if most_weight_bits is not None:
        weight_bits = min(weight_bits, most_weight_bits)
    if bias_peak:
        weight_bits = min(weight_bits, fraction_bits(bias_peak, BIAS_MAX) - input_fraction_bits)
    heaviest = _heaviest_row(codebooks, codes, row_indices)
    while True:
        bits = input_fraction_bits + weight_bits
        scales = Scales(input_fraction_bits, min(output_bits, bits), weight_bits)
        if _accumulator_limit(scales, *heaviest, bias_peak) <= _ACCUMULATOR_MAX:
            break
        weight_bits -= 1
    if weight_peak and not scales.codebook(codebooks).any():
        raise LayerError(
            f"layer {name!r}: with inputs of {input_fraction_bits} fraction bits, a bias of {bias_peak:.3g} in "
            f"{BIAS_BITS} bits leaves {weight_bits} fraction bits for weights up to {weight_peak:.3g}: all would be 0; "
            "scale the network's inputs down, or fold the bias into the layer before"
        )
    return scales


def _heaviest_row(
    codebooks: NDArray[np.float64], codes: NDArray[np.uint8], row_indices: NDArray[np.int32]
) -> tuple[float, int]:
    """Return the largest sum of magnitudes and the largest number of stored codes of any row."""
    if len(codes) == 0:
        return 0.0, 0
    sums = np.bincount(row_indices, weights=values_of(np.abs(codebooks))[codes])
    return float(sums.max()), len(codebooks) * int(np.bincount(row_indices).max())


def _accumulator_limit(scales: Scales, magnitude: float, stored: int, bias_peak: float) -> float:
    """Return an upper limit of `accumulator_bound`: rounding adds at most 1/2 to each stored weight."""
    weights = math.ldexp(magnitude, scales.weight_fraction_bits) + stored / 2
    bias = math.ldexp(bias_peak, scales.accumulator_fraction_bits) + 1
    return weights * -ACTIVATION_MIN + bias + (1 << scales.shift >> 1)


ROW_SHIFT = 26
"""Largest shift of a layer whose rows then get scales of 1 down to `LARGEST_SPREAD` less: see `row_scaling`."""


def row_scaling(units: NDArray[np.float64], shift: int) -> tuple[Scaling, int]:
    """Return the scales that multiply sums by units, at most 1, over ``2**shift``, and the shift that goes with them.

    As many bits of the sums are kept as let no sum saturate before its output does.
    """
    room = SCALED_BITS - ACTIVATION_BITS + math.log2(units.min())
    pre_shift = next((bits for bits in PRE_SHIFTS if bits + room >= shift), PRE_SHIFTS[-1])
    one = SCALE_BITS - 2
    return Scaling(np.rint(np.ldexp(units, one)).astype(np.int64), pre_shift), shift + one - pre_shift
