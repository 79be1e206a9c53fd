"""Pooling: the largest or the mean of a window."""

from __future__ import annotations

from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import REQUIRED, Array, Shape, operator
from eie.network.operators.windows import Geometry, window


def _pooled(
    x: Array,
    *,
    kernel_shape: list[int],
    strides: Any,
    dilations: Any,
    pads: Any,
    auto_pad: str,
    ceil_mode: int,
    **_: Any,
) -> Shape:
    return (*x.shape[:2], *window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode).outputs)


@operator("MaxPool", _pooled)
def max_pool(
    x: Array,
    *,
    kernel_shape: list[int] = REQUIRED,
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    storage_order: int = 0,
) -> Array:
    geometry = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return geometry.reduce(x, np.maximum, lowest)


@operator("AveragePool", _pooled)
def average_pool(
    x: Array,
    *,
    kernel_shape: list[int] = REQUIRED,
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
) -> Array:
    geometry = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    rank = len(kernel_shape)
    counted = np.ones((1, 1, *x.shape[2:]), np.float32)
    if count_include_pad:
        explicit = auto_pad in ("NOTSET", "", "VALID")
        after = list(pads or [0] * 2 * rank)[rank:] if explicit else _same_padding(x.shape[2:], geometry)
        widths = [(0, 0), (0, 0), *zip(geometry.before, after, strict=True)]
        counted = np.pad(counted, widths, constant_values=1)
        shifted = Geometry(geometry.kernel, geometry.strides, geometry.dilations, (0,) * rank, geometry.outputs)
        counts = shifted.reduce(counted, np.add, 0)
    else:
        counts = geometry.reduce(counted, np.add, 0)
    if not counts.all():
        raise NetworkError("AveragePool has a window that lies in the padding only")
    sums = geometry.reduce(x.astype(np.promote_types(x.dtype, np.float32)), np.add, 0)
    return (sums / counts).astype(x.dtype)  # type: ignore[no-any-return]


@operator("LpPool", _pooled, 1)
def lp_pool(
    x: Array,
    *,
    kernel_shape: list[int] = REQUIRED,
    strides: list[int] | None = None,
    dilations: list[int] | None = None,
    pads: list[int] | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    p: int = 2,
) -> Array:
    geometry = window(x.shape[2:], kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return (geometry.reduce(np.abs(x) ** p, np.add, 0) ** (1 / p)).astype(x.dtype)  # type: ignore[no-any-return]


def _same_padding(sizes: Shape, geometry: Geometry) -> list[int]:
    """Return the padding behind the input that the last window reaches."""
    return [
        max(0, (count - 1) * stride + (k - 1) * dilation + 1 - size - first)
        for size, k, stride, dilation, first, count in zip(
            sizes, geometry.kernel, geometry.strides, geometry.dilations, geometry.before, geometry.outputs, strict=True
        )
    ]


def _global(x: Array) -> Shape:
    return (*x.shape[:2], *(1 for _ in x.shape[2:]))


@operator("GlobalAveragePool", _global)
def global_average_pool(x: Array) -> Array:
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)  # type: ignore[no-any-return]


@operator("GlobalMaxPool", _global)
def global_max_pool(x: Array) -> Array:
    return x.max(axis=tuple(range(2, x.ndim)), keepdims=True)  # type: ignore[no-any-return]
