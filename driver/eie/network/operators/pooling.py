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


def _windows(x: Array, geometry: Geometry, fill: float) -> Array:
    """Return each output's window: (B, C, *outputs, *kernel)."""
    rank = len(geometry.kernel)
    found = geometry.gather(x, (1,) * rank, fill)
    order = [0, 1, *range(2, 2 + 2 * rank, 2), *range(3, 3 + 2 * rank, 2)]
    return found.transpose(order)


def _spatial(rank: int) -> tuple[int, ...]:
    return tuple(range(-rank, 0))


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
    return _windows(x, geometry, lowest).max(axis=_spatial(len(kernel_shape)))  # type: ignore[no-any-return]


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
    counted = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if count_include_pad:
        explicit = auto_pad in ("NOTSET", "", "VALID")
        after = list(pads or [0] * 2 * rank)[rank:] if explicit else _same_padding(x.shape[2:], geometry)
        widths = [(0, 0), (0, 0), *zip(geometry.before, after, strict=True)]
        counted = np.pad(counted, widths, constant_values=1)
        shifted = Geometry(geometry.kernel, geometry.strides, geometry.dilations, (0,) * rank, geometry.outputs)
        counts = _windows(counted, shifted, 0).sum(axis=_spatial(rank))
    else:
        counts = _windows(counted, geometry, 0).sum(axis=_spatial(rank))
    if not counts.all():
        raise NetworkError("AveragePool has a window that lies in the padding only")
    return (_windows(x, geometry, 0).sum(axis=_spatial(rank)) / counts).astype(x.dtype)  # type: ignore[no-any-return]


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
