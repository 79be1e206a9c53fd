"""Accuracy against arithmetic precision (Figure 10): LeNet-300-100 on MNIST in fixed point of many widths.

Weights and activations are integers of the given width, sums are exact, and an output is rounded, shifted and saturated
to the width again: the arithmetic of the array (`eie.network.reference`) at other widths, which
differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.forward import forward_pruned
from eie.compression.scaling import fraction_bits
from eie.data.mnist import Digits
from eie.network.model import Dense

HEADROOM = 2.0
"""By how much an activation may exceed the largest of the calibration; as in `eie.compress`."""

_LIMB = 16
_HALF = 32


@dataclass(frozen=True)
class Formats:
    """Fraction bits of a network in fixed point: of the activations, input first, and of each layer's weights."""

    activations: tuple[int, ...]
    weights: tuple[int, ...]


def per_tensor_formats(network: Sequence[Dense], inputs: NDArray[np.float32], bits: int) -> Formats:
    """Return the finest formats of `bits` bits that hold each tensor by itself."""
    limit = (1 << (bits - 1)) - 1
    return Formats(
        tuple(fraction_bits(peak * HEADROOM, limit) for peak in _peaks(network, inputs)),
        tuple(fraction_bits(float(np.abs(layer.weight).max()), limit) for layer in network),
    )


def single_format(network: Sequence[Dense], inputs: NDArray[np.float32], bits: int) -> Formats:
    """Return the finest format of `bits` bits that holds all weights and activations of the network."""
    each = per_tensor_formats(network, inputs, bits)
    coarsest = min(*each.activations, *each.weights)
    return Formats((coarsest,) * len(each.activations), (coarsest,) * len(each.weights))


def float_accuracy(network: Sequence[Dense], digits: Digits) -> float:
    """Return the percentage of digits that the network recognises in float32."""
    return _percent_right(_float_outputs(network, digits.inputs())[-1], digits)


def fixed_accuracy(network: Sequence[Dense], digits: Digits, bits: int, formats: Formats) -> float:
    """Return the percentage of digits that the network recognises in fixed point of `bits` bits."""
    a = to_fixed(digits.inputs(), formats.activations[0], bits)
    for layer, first, second, weight in zip(
        network, formats.activations, formats.activations[1:], formats.weights, strict=False
    ):
        a = fixed_layer(layer, a, bits, (first, weight, second))
    return _percent_right(a, digits)


def fixed_layer(
    layer: Dense, activations: NDArray[np.int64], bits: int, formats: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Compute a layer in fixed point, exactly: int64, shape (B, C) -> int64, shape (B, R), all of `bits` bits.

    Parameters
    ----------
    layer : Dense
    activations : ndarray, shape (B, C), int64
    bits : int
        At most 32.
    formats : tuple of int
        Fraction bits of the input, of the weights, of the output.
    """
    first, weight, second = formats
    sums = exact_product(activations, to_fixed(layer.weight, weight, bits))
    scale = first + weight
    if layer.bias is not None:
        scaled = np.ldexp(layer.bias.astype(np.float64), scale)
        high = np.floor(np.ldexp(scaled, -_HALF))
        sums = _add(sums, high.astype(np.int64), np.rint(scaled - np.ldexp(high, _HALF)).astype(np.int64))
    limit = (1 << (bits - 1)) - 1
    return np.clip(_round_shift(sums, scale - second), 0 if layer.activation == "relu" else -limit - 1, limit)


def to_fixed(x: NDArray[np.float32], fraction: int, bits: int) -> NDArray[np.int64]:
    """Convert to fixed point: round half to even, saturate."""
    limit = (1 << (bits - 1)) - 1
    return np.clip(np.rint(x.astype(np.float64) * 2.0**fraction), -limit - 1, limit).astype(np.int64)


# Sums of products of 32-bit integers need up to 74 bits: they are kept as high * 2**32 + low, 0 <= low < 2**32.

Wide = tuple[NDArray[np.int64], NDArray[np.int64]]


def exact_product(a: NDArray[np.int64], w: NDArray[np.int64]) -> Wide:
    """Return ``a @ w.T`` of integers of at most 32 bits, in halves.

    Products of 16-bit parts add up to less than 2**53, which float64 matrices multiply exactly and fast.
    """
    if max(int(np.abs(a).max(initial=0)), int(np.abs(w).max(initial=0))) < 1 << _LIMB:
        return _carry(np.zeros((len(a), len(w)), np.int64), _product(a, w))
    (a_high, a_low), (w_high, w_low) = ((v >> _LIMB, v & ((1 << _LIMB) - 1)) for v in (a, w))
    middle = _product(a_high, w_low) + _product(a_low, w_high)
    low = _product(a_low, w_low) + ((middle & ((1 << _LIMB) - 1)) << _LIMB)
    return _carry(_product(a_high, w_high) + (middle >> _LIMB), low)


def _product(a: NDArray[np.int64], w: NDArray[np.int64]) -> NDArray[np.int64]:
    return (a.astype(np.float64) @ w.T.astype(np.float64)).astype(np.int64)


def _carry(high: NDArray[np.int64], low: NDArray[np.int64]) -> Wide:
    return high + (low >> _HALF), low & ((1 << _HALF) - 1)


def _add(sums: Wide, high: NDArray[np.int64], low: NDArray[np.int64]) -> Wide:
    return _carry(sums[0] + high, sums[1] + low)


def _round_shift(sums: Wide, shift: int) -> NDArray[np.int64]:
    """Divide by 2**shift, round half up."""
    if shift <= 0:
        return ((sums[0] << _HALF) + sums[1]) << -shift
    half = 1 << (shift - 1)
    high, low = _add(sums, np.asarray(half >> _HALF), np.asarray(half & ((1 << _HALF) - 1)))
    if shift >= _HALF:
        return high >> (shift - _HALF)
    return (high << (_HALF - shift)) | (low >> shift)


def _peaks(network: Sequence[Dense], inputs: NDArray[np.float32]) -> list[float]:
    tensors = [inputs, *_float_outputs(network, inputs)]
    return [max(float(np.abs(tensor).max()), float(np.finfo(np.float32).tiny)) for tensor in tensors]


def _float_outputs(network: Sequence[Dense], x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    outputs = []
    for layer in network:
        x = forward_pruned(x, layer.weight, layer.weight != 0, layer.bias, layer.activation == "relu")
        outputs.append(x)
    return outputs


def _percent_right(outputs: NDArray[np.float32] | NDArray[np.int64], digits: Digits) -> float:
    return 100 * float(np.mean(outputs.argmax(axis=1) == digits.labels))
