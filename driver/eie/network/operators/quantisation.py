"""Quantisers of QONNX (Brevitas, FINN) and of ONNX (QDQ), computed on floats as their specifications say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.elementwise import dtype_of
from eie.network.operators.table import Array, axis_of, broadcast, operator, same

_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "ROUND_TO_ZERO": np.trunc,
    "DOWN": np.trunc,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def quant_limits(bits: Any, signed: int, narrow: int) -> tuple[Any, Any]:
    """Return the smallest and the largest integer of a `Quant`, elementwise for an array of bits."""
    if signed:
        return -(2.0 ** (bits - 1)) + (1 if narrow else 0), 2.0 ** (bits - 1) - 1
    return 0.0 * bits, 2.0**bits - (2 if narrow else 1)


@operator("Quant", lambda x, *others, **_: broadcast(x, *others[:2]), 2)
def quant(
    x: Array,
    scale: Array,
    zero_point: Array,
    bits: Array,
    *,
    signed: int = 1,
    narrow: int = 0,
    rounding_mode: str = "ROUND",
) -> Array:
    if rounding_mode.upper() not in _ROUNDINGS:
        raise NetworkError(f"rounding_mode {rounding_mode!r} is not known; {', '.join(_ROUNDINGS)} are")
    low, high = quant_limits(bits.astype(np.float64), signed, narrow)
    integers = _ROUNDINGS[rounding_mode.upper()](np.clip(x / scale + zero_point, low, high))
    return ((integers - zero_point) * scale).astype(x.dtype)


@operator("BipolarQuant", broadcast, 1)
def bipolar_quant(x: Array, scale: Array) -> Array:
    return (np.where(x >= 0, 1, -1) * scale).astype(x.dtype)


@operator("MultiThreshold", same)
def multi_threshold(
    x: Array,
    thresholds: Array,
    *,
    out_dtype: str = "",
    out_scale: float = 1.0,
    out_bias: float = 0.0,
    data_layout: str = "NCHW",
) -> Array:
    channels = x.ndim - 1 if data_layout in ("NHWC", "NWC") or x.ndim < 2 else 1
    if thresholds.ndim != 2 or thresholds.shape[0] not in (1, x.shape[channels]):
        raise NetworkError(f"thresholds of shape {thresholds.shape} do not fit {x.shape[channels]} channels")
    moved = np.moveaxis(x, channels, -1)
    counts = np.zeros(moved.shape, x.dtype)
    for column in thresholds.T:
        counts += moved >= column
    return np.moveaxis(counts * x.dtype.type(out_scale) + x.dtype.type(out_bias), -1, channels)


def _by_axis(values: Array, x: Array, axis: int, block_size: int) -> Array:
    """Return scales or zero points in a shape that broadcasts to x: one, one a channel, or one a block."""
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    axis = axis_of(axis, x.ndim)
    if block_size:
        return np.repeat(values, block_size, axis=axis)[tuple(slice(size) for size in x.shape)]
    if values.shape != (x.shape[axis],):
        raise NetworkError(f"scales of shape {values.shape} do not fit axis {axis} of shape {x.shape}")
    return values.reshape(-1, *(1 for _ in x.shape[axis + 1 :]))


@operator("QuantizeLinear", same, 1)
def quantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Array:
    dtype = zero_point.dtype if zero_point is not None else dtype_of(output_dtype or 2)
    if dtype.kind not in "iu":
        raise NetworkError(f"QuantizeLinear to {dtype} is not supported; integers of 8 and 16 bits are")
    zero = 0 if zero_point is None else _by_axis(zero_point, x, axis, block_size).astype(np.float64)
    integers = np.rint(x / _by_axis(scale, x, axis, block_size)) + zero
    return np.clip(integers, np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


@operator("DequantizeLinear", same, 1)
def dequantize_linear(
    x: Array,
    scale: Array,
    zero_point: Array | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Array:
    if x.dtype.kind not in "iu":
        raise NetworkError(f"DequantizeLinear from {x.dtype} is not supported; it takes integers")
    integers = x.astype(np.int64)
    if zero_point is not None:
        integers = integers - _by_axis(zero_point, x, axis, block_size).astype(np.int64)
    return (integers * _by_axis(scale, x, axis, block_size)).astype(scale.dtype)
