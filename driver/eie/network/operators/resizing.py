"""Operators that exchange space for depth, or change the resolution of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import REQUIRED, Array, Shape, axis_of, check_elements, operator


def _to_space(x: Array, *, blocksize: int, mode: str = "DCR") -> Shape:
    batch, channels, height, width = x.shape
    return batch, channels // blocksize**2, height * blocksize, width * blocksize


@operator("DepthToSpace", _to_space)
def depth_to_space(x: Array, *, blocksize: int = REQUIRED, mode: str = "DCR") -> Array:
    batch, channels, height, width = x.shape
    block, depth = blocksize, channels // blocksize**2
    if mode == "DCR":
        y = x.reshape(batch, block, block, depth, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(batch, depth, block, block, height, width).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(_to_space(x, blocksize=block))


@operator(
    "SpaceToDepth",
    lambda x, *, blocksize, mode="DCR": (
        *x.shape[:1],
        x.shape[1] * blocksize**2,
        *(n // blocksize for n in x.shape[2:]),
    ),
)
def space_to_depth(x: Array, *, blocksize: int = REQUIRED, mode: str = "DCR") -> Array:
    batch, channels, height, width = x.shape
    b = blocksize
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    y = x.reshape(batch, channels, height // b, b, width // b, b).transpose(order)
    return y.reshape(batch, channels * b * b, height // b, width // b)


def _resized(
    x: Array, roi: Array | None, scales: Array | None, sizes: Array | None, axes: Any
) -> tuple[Shape, list[float]]:
    places = list(range(x.ndim)) if axes is None else [axis_of(axis, x.ndim) for axis in axes]
    target, factors = list(x.shape), [1.0] * x.ndim
    given = sizes if sizes is not None and sizes.size else scales
    if given is None or given.size != len(places):
        raise NetworkError(f"Resize needs a size or a scale for each of {len(places)} axes")
    for axis, value in zip(places, given.ravel().tolist(), strict=True):
        by_size = given is sizes
        target[axis] = int(value) if by_size else math.floor(x.shape[axis] * value)
        factors[axis] = value / x.shape[axis] if by_size else value
    return tuple(target), factors


_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
_COORDINATES: dict[str, Callable[..., Array]] = {
    "half_pixel": lambda i, factor, size, new: (i + 0.5) / factor - 0.5,
    "half_pixel_symmetric": lambda i, factor, size, new: (
        size / 2 * (1 - new / (factor * size)) + (i + 0.5) / factor - 0.5
    ),
    "asymmetric": lambda i, factor, size, new: i / factor,
    "pytorch_half_pixel": lambda i, factor, size, new: (i + 0.5) / factor - 0.5 if new > 1 else 0 * i,
    "align_corners": lambda i, factor, size, new: i * (size - 1) / (new - 1) if new > 1 else 0 * i,
}


def _resize_shape(
    x: Array, roi: Array | None = None, scales: Array | None = None, sizes: Array | None = None, **a: Any
) -> Shape:
    return _resized(x, roi, scales, sizes, a.get("axes"))[0]


@operator("Resize", _resize_shape)
def resize(
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    axes: list[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch",
    antialias: int = 0,
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
) -> Array:
    coordinates = _COORDINATES.get(coordinate_transformation_mode)
    if mode != "nearest" or coordinates is None or keep_aspect_ratio_policy != "stretch" or antialias:
        raise NetworkError(
            f"Resize with mode {mode!r}, coordinates {coordinate_transformation_mode!r} and policy "
            f"{keep_aspect_ratio_policy!r} is not supported; mode 'nearest' with coordinates of the input is"
        )
    target, factors = _resized(x, roi, scales, sizes, axes)
    check_elements(target)
    for axis, (new, factor) in enumerate(zip(target, factors, strict=True)):
        if factor != 1 or new != x.shape[axis]:
            at = _NEAREST[nearest_mode](coordinates(np.arange(new), factor, x.shape[axis], new))
            x = np.take(x, np.clip(at, 0, x.shape[axis] - 1).astype(np.intp), axis=axis)
    return x
