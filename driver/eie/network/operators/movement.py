"""Operators that move elements and compute none: shapes, slices, concatenation, padding, resizing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.indexing import checked_indices
from eie.network.operators.table import REQUIRED, Array, Shape, axis_of, operator


def _ints(x: Array) -> list[int]:
    return [int(value) for value in x.ravel()]


def _reshaped(x: Array, shape: Array, *, allowzero: int = 0) -> Shape:
    target = _ints(shape)
    for i, size in enumerate(target):
        if size == 0 and not allowzero:
            if i >= x.ndim:
                raise NetworkError(f"the target shape {target} keeps dimension {i}, which {x.shape} has not")
            target[i] = x.shape[i]
    known = math.prod(size for size in target if size != -1)
    if target.count(-1) == 1 and known > 0 and x.size % known == 0:
        target[target.index(-1)] = x.size // known
    if min(target, default=0) < 0 or math.prod(target) != x.size:
        raise NetworkError(f"a tensor of shape {x.shape} has no reshaping to {_ints(shape)}")
    return tuple(target)


@operator("Reshape", _reshaped)
def reshape(x: Array, shape: Array, *, allowzero: int = 0) -> Array:
    return x.reshape(_reshaped(x, shape, allowzero=allowzero))


def _flattened(x: Array, *, axis: int = 1) -> Shape:
    if not -x.ndim <= axis <= x.ndim:
        raise NetworkError(f"axis {axis} does not exist; the tensor has {x.ndim} dimensions")
    axis = axis + x.ndim if axis < 0 else axis
    return math.prod(x.shape[:axis]), math.prod(x.shape[axis:])


@operator("Flatten", _flattened)
def flatten(x: Array, *, axis: int = 1) -> Array:
    return x.reshape(_flattened(x, axis=axis))


def _squeezed(x: Array, axes: Array | None = None) -> Shape:
    if axes is None:
        return tuple(size for size in x.shape if size != 1)
    gone = {axis_of(axis, x.ndim) for axis in _ints(axes)}
    if any(x.shape[axis] != 1 for axis in gone):
        raise NetworkError(f"axes {_ints(axes)} of shape {x.shape} are not all of size 1")
    return tuple(size for i, size in enumerate(x.shape) if i not in gone)


@operator("Squeeze", _squeezed)
def squeeze(x: Array, axes: Array | None = None) -> Array:
    return x.reshape(_squeezed(x, axes))


def _unsqueezed(x: Array, axes: Array) -> Shape:
    rank = x.ndim + axes.size
    new = {axis_of(axis, rank) for axis in _ints(axes)}
    if len(new) != axes.size:
        raise NetworkError(f"axes {_ints(axes)} repeat one")
    sizes = iter(x.shape)
    return tuple(1 if i in new else next(sizes) for i in range(rank))


@operator("Unsqueeze", _unsqueezed)
def unsqueeze(x: Array, axes: Array) -> Array:
    return x.reshape(_unsqueezed(x, axes))


def _order(x: Array, perm: list[int] | None) -> list[int]:
    order = list(range(x.ndim))[::-1] if perm is None else list(perm)
    if sorted(order) != list(range(x.ndim)):
        raise NetworkError(f"perm {order} is no order of {x.ndim} dimensions")
    return order


@operator("Transpose", lambda x, *, perm=None: tuple(x.shape[i] for i in _order(x, perm)))
def transpose(x: Array, *, perm: list[int] | None = None) -> Array:
    return x.transpose(_order(x, perm))


def _joined(*x: Array, axis: int) -> Shape:
    axis = axis_of(axis, x[0].ndim)
    others = {(part.ndim, *part.shape[:axis], *part.shape[axis + 1 :]) for part in x}
    if len(others) != 1:
        raise NetworkError(f"shapes {', '.join(str(part.shape) for part in x)} do not join along axis {axis}")
    return (*x[0].shape[:axis], sum(part.shape[axis] for part in x), *x[0].shape[axis + 1 :])


@operator("Concat", _joined)
def concat(*x: Array, axis: int = REQUIRED) -> Array:
    return np.concatenate(x, axis=axis)


def _parts(x: Array, split: Array | None, axis: int, num_outputs: int) -> list[int]:
    axis = axis_of(axis, x.ndim)
    if split is not None:
        sizes = _ints(split)
        if sum(sizes) != x.shape[axis] or min(sizes, default=0) < 0:
            raise NetworkError(f"sizes {sizes} do not split axis {axis} of shape {x.shape}")
        return sizes
    size = -(-x.shape[axis] // max(1, num_outputs))
    return [max(0, min(size, x.shape[axis] - i * size)) for i in range(num_outputs)]


def _split_shapes(x: Array, split: Array | None = None, *, axis: int, num_outputs: int) -> list[Shape]:
    at = axis_of(axis, x.ndim)
    return [(*x.shape[:at], size, *x.shape[at + 1 :]) for size in _parts(x, split, axis, num_outputs)]


@operator("Split", _split_shapes)
def split(x: Array, split: Array | None = None, *, axis: int = 0, num_outputs: int = 0) -> list[Array]:
    sizes = _parts(x, split, axis, num_outputs)
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def _slices(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> tuple[slice, ...]:
    places = range(starts.size) if axes is None else _ints(axes)
    strides = [1] * starts.size if steps is None else _ints(steps)
    result = [slice(None)] * x.ndim
    for start, end, axis, step in zip(_ints(starts), _ints(ends), places, strides, strict=True):
        axis = axis_of(axis, x.ndim)
        size = x.shape[axis]
        if step == 0:
            raise NetworkError("a slice has step 0")
        start, end = (value + size if value < 0 else value for value in (start, end))
        low, high = (0, size) if step > 0 else (-1, size - 1)
        start, end = min(max(start, max(low, 0)), high), min(max(end, low), size)
        result[axis] = slice(start, None if end < 0 else end, step)
    return tuple(result)


def _sliced(x: Array, *others: Array) -> Shape:
    return tuple(len(range(*part.indices(size))) for part, size in zip(_slices(x, *others), x.shape, strict=True))


@operator("Slice", _sliced)
def slice_(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
    return x[_slices(x, starts, ends, axes, steps)]


def _gathered(x: Array, indices: Array, *, axis: int = 0) -> Shape:
    axis = axis_of(axis, x.ndim)
    return (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


@operator("Gather", _gathered)
def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis = axis_of(axis, x.ndim)
    return np.take(x, checked_indices(x, indices, axis), axis=axis)


@operator("GatherElements", lambda x, indices, *, axis=0: indices.shape)
def gather_elements(x: Array, indices: Array, *, axis: int = 0) -> Array:
    axis = axis_of(axis, x.ndim)
    cut = tuple(slice(None) if i == axis else slice(size) for i, size in enumerate(indices.shape))
    return np.take_along_axis(x[cut], checked_indices(x, indices, axis), axis)


@operator(
    "ArrayFeatureExtractor", lambda x, indices: (*x.shape[:-1], indices.size) if x.ndim > 1 else (1, indices.size)
)
def array_feature_extractor(x: Array, indices: Array) -> Array:
    taken = np.take(x, checked_indices(x, indices.ravel(), x.ndim - 1), axis=-1)
    return taken if x.ndim > 1 else taken[None]


def _pads(x: Array, pads: Array, axes: Array | None) -> list[tuple[int, int]]:
    values, places = _ints(pads), list(range(x.ndim)) if axes is None else _ints(axes)
    if len(values) != 2 * len(places):
        raise NetworkError(f"{len(values)} pads were given for {len(places)} axes; each needs two")
    result = [(0, 0)] * x.ndim
    for i, axis in enumerate(places):
        result[axis_of(axis, x.ndim)] = (values[i], values[i + len(places)])
    return result


def _padded(x: Array, pads: Array, value: Array | None = None, axes: Array | None = None, **_: Any) -> Shape:
    return tuple(size + before + after for size, (before, after) in zip(x.shape, _pads(x, pads, axes), strict=True))


@operator("Pad", _padded)
def pad(
    x: Array, pads: Array, constant_value: Array | None = None, axes: Array | None = None, *, mode: str = "constant"
) -> Array:
    widths = _pads(x, pads, axes)
    cut = x[tuple(slice(max(0, -a), size - max(0, -b)) for (a, b), size in zip(widths, x.shape, strict=True))]
    widths = [(max(0, a), max(0, b)) for a, b in widths]
    if mode == "constant":
        value = 0 if constant_value is None else constant_value.ravel()[0]
        return np.pad(cut, widths, constant_values=value)
    modes = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    if mode not in modes:
        raise NetworkError(f"Pad's mode {mode!r} is not known; constant, {', '.join(modes)} are")
    return np.pad(cut, widths, mode=modes[mode])  # type: ignore[call-overload,no-any-return]


def _expanded(x: Array, shape: Array) -> Shape:
    try:
        return np.broadcast_shapes(x.shape, tuple(_ints(shape)))
    except ValueError as error:
        raise NetworkError(f"shape {x.shape} does not expand to {_ints(shape)}") from error


@operator("Expand", _expanded)
def expand(x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, _expanded(x, shape)).copy()


def _tiled(x: Array, repeats: Array) -> Shape:
    if repeats.size != x.ndim:
        raise NetworkError(f"{repeats.size} repeats for {x.ndim} dimensions")
    return tuple(size * count for size, count in zip(x.shape, _ints(repeats), strict=True))


@operator("Tile", _tiled)
def tile(x: Array, repeats: Array) -> Array:
    return np.tile(x, _ints(repeats))


@operator("Shape", lambda x, *, start=0, end=None: (len(x.shape[start:end]),))
def shape_of(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    return np.array(x.shape[start:end], np.int64)


@operator("Size", lambda x: ())
def size_of(x: Array) -> Array:
    return np.array(x.size, np.int64)


@operator("ConstantOfShape", lambda shape, *, value=None: tuple(_ints(shape)))
def constant_of_shape(shape: Array, *, value: Array | None = None) -> Array:
    value = np.zeros(1, np.float32) if value is None else np.asarray(value)
    return np.full(_ints(shape), value.ravel()[0], value.dtype)


def _range_length(start: Array, limit: Array, delta: Array) -> Shape:
    if not start.size == limit.size == delta.size == 1:
        raise NetworkError(f"Range takes three numbers; it gets {start.size}, {limit.size} and {delta.size}")
    if delta.item() == 0:
        raise NetworkError("Range has a step of 0")
    length = (limit.item() - start.item()) / delta.item()
    if not math.isfinite(length):
        raise NetworkError("Range has no finite length")
    return (max(0, math.ceil(length)),)


@operator("Range", _range_length)
def range_(start: Array, limit: Array, delta: Array) -> Array:
    (length,) = _range_length(start, limit, delta)
    steps = np.arange(length, dtype=start.dtype)
    return (start.ravel() + steps * delta.ravel()).astype(start.dtype)
