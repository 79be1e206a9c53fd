"""The arithmetic that host and hardware agree on: int16 activations, rounding, saturation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array
from eie.contract.config import ACTIVATION_BITS, SCALED_BITS
from eie.errors import PackError

ACTIVATION_MIN = -(1 << (ACTIVATION_BITS - 1))


ACTIVATION_MAX = (1 << (ACTIVATION_BITS - 1)) - 1


_QUANTISE_BLOCK = 1 << 15


_LARGEST_EXPONENT = 126
"""2**126 and 2**-126 are normal numbers of float32."""


_LARGEST_SUM_EXPONENT = 100
"""So are, up to here, the sums that `_round_inside` rounds by."""


def finish(sums: NDArray[np.int64], shift: int, relu: bool) -> NDArray[np.int16]:
    """Round half up, shift, saturate to int16, apply ReLU: what happens to an accumulator with its bias added."""
    rounded = sums + (1 << shift >> 1)
    rounded >>= shift
    # Twice as fast as np.clip.
    np.maximum(rounded, 0 if relu else ACTIVATION_MIN, out=rounded)
    return np.minimum(rounded, ACTIVATION_MAX, out=rounded).astype(np.int16)


def finish_scaled(
    sums: NDArray[np.int64], scale: NDArray[np.int16], pre_shift: int, shift: int, relu: bool, low: int, high: int
) -> NDArray[np.int16]:
    """Shift down, saturate to 25 bits, scale; then as `finish`, and clip: what is above ``high`` to it, else what is
    below ``low`` to that.

    Parameters
    ----------
    sums : ndarray, shape (..., R), int64
        Accumulators with their biases.
    scale : ndarray, shape (R,), int16
    pre_shift, shift : int
        Bits dropped before scaling, rounded down, and after it, rounded half up.
    relu : bool
    low, high : int
    """
    limit = 1 << SCALED_BITS - 1
    scaled = np.clip(sums >> pre_shift, -limit, limit - 1) * scale.astype(np.int64)
    outputs = finish(scaled, shift, relu)
    return np.where(outputs > high, np.int16(high), np.maximum(outputs, np.int16(low)))


def as_activations(activations: ArrayLike, columns: int) -> NDArray[np.int16]:
    """Return a batch of activations as contiguous int16, shape (B, columns), or raise `PackError`."""
    a = real_array(activations, "raw activations", PackError)
    if a.dtype != np.int16:
        raise PackError(f"raw activations are {a.dtype}; they must be int16 (use `run` for floats)")
    if a.ndim != 2 or a.shape[1] != columns:
        raise PackError(f"activations have shape {a.shape}; the model takes (batch, {columns})")
    return np.ascontiguousarray(a)


def quantise(x: ArrayLike, fraction_bits: int, out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
    """Convert floats to int16 fixed point: round half to even, saturate. NaN is refused.

    Parameters
    ----------
    x : array_like, float
    fraction_bits : int
    out : ndarray, int16, contiguous, shape of x, optional
        Where the result goes; default: a new array.
    """
    x = np.asarray(x)
    # float32 holds every int16 exactly, and scaling by a power of two is exact: no need for float64.
    x = x if x.dtype == np.float32 else np.asarray(x, np.float64)
    quantised = np.empty(x.shape, np.int16) if out is None else out
    source, target = x.reshape(-1), quantised.reshape(-1)
    lowest, highest = (math.ldexp(limit, -fraction_bits) for limit in (ACTIVATION_MIN, ACTIVATION_MAX))
    # Block by block, so that what is between the steps stays in the processor's cache.
    block = np.empty(min(_QUANTISE_BLOCK, len(source)), x.dtype)
    for first in range(0, len(source), _QUANTISE_BLOCK):
        part = source[first : first + _QUANTISE_BLOCK]
        low, high = float(part.min()), float(part.max())
        if math.isnan(low):
            raise PackError("activations hold NaN; an int16 has no value for it")
        inside = lowest <= low and high <= highest and abs(fraction_bits) <= _LARGEST_SUM_EXPONENT
        convert = _round_inside if inside else _round_and_saturate
        convert(part, fraction_bits, block[: len(part)], target[first : first + len(part)])
    return quantised


def _round_inside(
    x: NDArray[np.floating], fraction_bits: int, scratch: NDArray[np.floating], out: NDArray[np.int16]
) -> None:
    """Quantise what is in the range of int16: twice as fast, for the addition both scales and rounds.

    Next to 1.5 * 2**(mantissa bits - fraction_bits) floats are 2**-fraction_bits apart. So the sum is rounded to just
    the bits that are wanted, half to even, and they are the last ones of its mantissa, in two's complement.
    """
    offset = x.dtype.type(math.ldexp(1.5, np.finfo(x.dtype).nmant - fraction_bits))
    np.add(x, offset, out=scratch)
    np.copyto(out, scratch.view(f"i{x.dtype.itemsize}"), casting="unsafe")


def _round_and_saturate(
    x: NDArray[np.floating], fraction_bits: int, scratch: NDArray[np.floating], out: NDArray[np.int16]
) -> None:
    """Quantise whatever is not NaN."""
    with np.errstate(over="ignore"):  # what overflows saturates
        _scale(x, fraction_bits, scratch)
    np.clip(np.rint(scratch, out=scratch), ACTIVATION_MIN, ACTIVATION_MAX, out=scratch)
    np.copyto(out, scratch, casting="unsafe")


def _scale(x: NDArray[np.floating], fraction_bits: int, out: NDArray[np.floating]) -> NDArray[np.floating]:
    """Write x * 2**fraction_bits to `out`: by a product, many times faster than ldexp, if the factor exists."""
    if abs(fraction_bits) > _LARGEST_EXPONENT:
        return np.ldexp(x, fraction_bits, out=out)
    return np.multiply(x, x.dtype.type(2.0**fraction_bits), out=out)


def dequantise(a: NDArray[np.int16], fraction_bits: int) -> NDArray[np.float32]:
    """Convert int16 fixed point to float32, exactly."""
    floats = a.astype(np.float32)
    return _scale(floats, -fraction_bits, floats)
