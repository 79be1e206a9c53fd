"""Operators that exchange space for depth, or change the resolution of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
    x: Array, roi: Array | None, scales: Array | None, sizes: Array | None, axes: Any, policy: str
) -> tuple[Shape, list[float]]:
    places = list(range(x.ndim)) if axes is None else [axis_of(axis, x.ndim) for axis in axes]
    target, factors = list(x.shape), [1.0] * x.ndim
    by_size = sizes is not None and sizes.size > 0
    given = sizes if by_size else scales
    if given is None or given.size != len(places):
        raise NetworkError(f"Resize needs a size or a scale for each of {len(places)} axes")
    values = given.ravel().tolist()
    if by_size and policy != "stretch":
        if policy not in _POLICIES:
            raise NetworkError(f"Resize has the policy {policy!r}; stretch, {', '.join(_POLICIES)} are known")
        factor = _POLICIES[policy](value / x.shape[axis] for axis, value in zip(places, values, strict=True))
        values = [math.floor(factor * x.shape[axis] + 0.5) for axis in places]
        factors = [factor if axis in places else 1.0 for axis in range(x.ndim)]
    for axis, value in zip(places, values, strict=True):
        target[axis] = int(value) if by_size else math.floor(x.shape[axis] * value)
        if policy == "stretch" or not by_size:
            factors[axis] = value / x.shape[axis] if by_size else value
    return tuple(target), factors


_POLICIES: dict[str, Callable[[Iterable[float]], float]] = {"not_larger": min, "not_smaller": max}
_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
ALIGN_WHOLE = "align_whole_corners"
"""As align_corners, but of the length that the tensor has, not of the fractional one that a scale gives."""
_COORDINATES: dict[str, Callable[..., Array]] = {
    "half_pixel": lambda i, factor, size, new: (i + 0.5) / factor - 0.5,
    "half_pixel_symmetric": lambda i, factor, size, new: (
        size / 2 * (1 - new / (factor * size)) + (i + 0.5) / factor - 0.5
    ),
    "asymmetric": lambda i, factor, size, new: i / factor,
    "pytorch_half_pixel": lambda i, factor, size, new: (i + 0.5) / factor - 0.5 if new > 1 else 0 * i,
    ALIGN_WHOLE: lambda i, factor, size, new: i * (size - 1) / (new - 1) if new > 1 else 0 * i,
    "align_corners": lambda i, factor, size, new: i * (size - 1) / (factor * size - 1) if new > 1 else 0 * i,
}


def _linear(fraction: Array, a: float) -> list[tuple[int, Array]]:
    return [(0, 1 - fraction), (1, fraction)]


def _cubic(fraction: Array, a: float) -> list[tuple[int, Array]]:
    """Keys's kernel; of the four neighbours the first two are before."""

    def near(t: Array) -> Array:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Array) -> Array:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return [(-1, far(1 + fraction)), (0, near(fraction)), (1, near(1 - fraction)), (2, far(2 - fraction))]


_INTERPOLATIONS: dict[str, Callable[[Array, float], list[tuple[int, Array]]]] = {"linear": _linear, "cubic": _cubic}
"""Neighbours of a coordinate, counted from the one before it, and their weights."""


def _interpolated(x: Array, at: Array, axis: int, mode: str, a: float, exclude_outside: int) -> Array:
    """Return weighted sums of the neighbours of coordinates on an axis; beyond an end stands the end's element."""
    before, last = np.floor(at), x.shape[axis] - 1
    taps = [(before + step, weight) for step, weight in _INTERPOLATIONS[mode](at - before, a)]
    if exclude_outside:
        taps = [(place, np.where((place < 0) | (place > last), 0, weight)) for place, weight in taps]
        total = sum(weight for _, weight in taps)
        taps = [(place, weight / total) for place, weight in taps]
    along = (-1, *(1 for _ in x.shape[axis + 1 :]))
    parts = [
        np.take(x, np.clip(place, 0, last).astype(np.intp), axis) * weight.astype(x.dtype).reshape(along)
        for place, weight in taps
    ]
    return np.asarray(sum(parts))


def _resize_shape(
    x: Array, roi: Array | None = None, scales: Array | None = None, sizes: Array | None = None, **a: Any
) -> Shape:
    return _resized(x, roi, scales, sizes, a.get("axes"), a.get("keep_aspect_ratio_policy", "stretch"))[0]


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
    by_weights = mode in _INTERPOLATIONS and x.dtype.kind == "f"
    if not (mode == "nearest" or by_weights) or coordinates is None or antialias:
        raise NetworkError(
            f"Resize of {x.dtype} with mode {mode!r}, coordinates {coordinate_transformation_mode!r} and antialias "
            f"{antialias} is not supported; of floats nearest, linear and cubic are, with coordinates of the input and "
            "without antialias"
        )
    target, factors = _resized(x, roi, scales, sizes, axes, keep_aspect_ratio_policy)
    check_elements(target)
    for axis, (new, factor) in enumerate(zip(target, factors, strict=True)):
        if factor == 1 and new == x.shape[axis]:
            continue
        at = np.asarray(coordinates(np.arange(new), factor, x.shape[axis], new), np.float64)
        if by_weights:
            x = _interpolated(x, at, axis, mode, cubic_coeff_a, exclude_outside)
        else:
            nearest = np.clip(_NEAREST[nearest_mode](at), 0, x.shape[axis] - 1)
            x = np.take(x, nearest.astype(np.intp), axis=axis)
    return x
