"""Operators that take and put elements by index, and those that sort."""

from __future__ import annotations

import math

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.elementwise import dtype_of
from eie.network.operators.table import REQUIRED, Array, Shape, axis_of, operator, same

_REDUCTIONS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def checked_indices(x: Array, indices: Array, axis: int) -> Array:
    """Return indices of an axis, counted from the front, or raise `NetworkError`."""
    size = x.shape[axis]
    if indices.size and not (-size <= int(indices.min()) and int(indices.max()) < size):
        raise NetworkError(f"indices {indices.min()} to {indices.max()} do not exist on axis {axis} of size {size}")
    return np.where(indices < 0, indices + size, indices).astype(np.intp)


def _put(x: Array, at: tuple[Array, ...], updates: Array, reduction: str) -> Array:
    y = x.copy()
    if reduction == "none":
        y[at] = updates
    elif reduction in _REDUCTIONS:
        _REDUCTIONS[reduction].at(y, at, updates)
    else:
        raise NetworkError(f"reduction {reduction!r} is not known; none, {', '.join(_REDUCTIONS)} are")
    return y


@operator("ScatterElements", same)
def scatter_elements(x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none") -> Array:
    axis = axis_of(axis, x.ndim)
    if indices.shape != updates.shape or indices.ndim != x.ndim:
        raise NetworkError(f"indices {indices.shape} and updates {updates.shape} do not fit the shape {x.shape}")
    if any(count > size for i, (count, size) in enumerate(zip(indices.shape, x.shape, strict=True)) if i != axis):
        raise NetworkError(f"indices of shape {indices.shape} reach beyond the shape {x.shape}")
    grid: tuple[Array, ...] = tuple(np.indices(indices.shape, np.intp, sparse=True))
    at = (*grid[:axis], checked_indices(x, indices, axis), *grid[axis + 1 :])
    return _put(x, at, updates, reduction)


def _coordinates(x: Array, indices: Array, first: int = 0) -> tuple[Array, ...]:
    """Return the indices of each axis that the last dimension of `indices` names, from the first on."""
    count = indices.shape[-1] if indices.ndim else 0
    if not 1 <= count <= x.ndim - first:
        raise NetworkError(f"indices of shape {indices.shape} name {count} axes; the tensor has the shape {x.shape}")
    return tuple(checked_indices(x, indices[..., i], first + i) for i in range(count))


@operator("ScatterND", same)
def scatter_nd(x: Array, indices: Array, updates: Array, *, reduction: str = "none") -> Array:
    at = _coordinates(x, indices)
    if updates.shape != (*indices.shape[:-1], *x.shape[len(at) :]):
        raise NetworkError(f"updates of shape {updates.shape} do not fit indices {indices.shape} and {x.shape}")
    return _put(x, at, updates, reduction)


def _gathered_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Shape:
    if x.shape[:batch_dims] != indices.shape[:batch_dims] or indices.ndim <= batch_dims:
        raise NetworkError(f"shapes {x.shape} and {indices.shape} do not share {batch_dims} batch dimensions")
    return (*indices.shape[:-1], *x.shape[batch_dims + indices.shape[-1] :])


@operator("GatherND", _gathered_nd)
def gather_nd(x: Array, indices: Array, *, batch_dims: int = 0) -> Array:
    batch = math.prod(x.shape[:batch_dims])
    at = [part.reshape(batch, -1) for part in _coordinates(x, indices, batch_dims)]
    found = x.reshape(batch, *x.shape[batch_dims:])[(np.arange(batch)[:, None], *at)]
    return found.reshape(_gathered_nd(x, indices, batch_dims=batch_dims))


@operator("Trilu", same)
def trilu(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    if x.ndim < 2:
        raise NetworkError(f"a tensor of shape {x.shape} has no triangle")
    offset = 0 if k is None else int(k.ravel()[0])
    return np.triu(x, offset) if upper else np.tril(x, offset)


@operator("NonZero", lambda x: (x.ndim, int(np.count_nonzero(x))))
def non_zero(x: Array) -> Array:
    return np.array(np.nonzero(np.atleast_1d(x)), np.int64)[: x.ndim]


def _chosen(x: Array, condition: Array, axis: int | None) -> tuple[Array, Array, int]:
    """Return a tensor, flat without an axis, the places that a condition names, and the axis."""
    x, at = (x.ravel(), 0) if axis is None else (x, axis_of(axis, x.ndim))
    if condition.ndim != 1 or condition.size > x.shape[at]:
        raise NetworkError(f"a condition of shape {condition.shape} does not fit an axis of size {x.shape[at]}")
    return x, np.flatnonzero(condition), at


def _compressed(x: Array, condition: Array, *, axis: int | None = None) -> Shape:
    x, places, at = _chosen(x, condition, axis)
    return (*x.shape[:at], len(places), *x.shape[at + 1 :])


@operator("Compress", _compressed)
def compress(x: Array, condition: Array, *, axis: int | None = None) -> Array:
    x, places, at = _chosen(x, condition, axis)
    return np.take(x, places, at)


def _distinct_shapes(x: Array, *, axis: int | None = None, sorted: int = 1) -> list[Shape]:
    return [y.shape for y in distinct(x, axis=axis, sorted=sorted)]


@operator("Unique", _distinct_shapes)
def distinct(x: Array, *, axis: int | None = None, sorted: int = 1) -> tuple[Array, Array, Array, Array]:
    """Return the distinct elements, where each is first, which of them each element is, and how often each is there."""
    at = None if axis is None else axis_of(axis, x.ndim)
    values, first, places, counts = np.unique(x, True, True, True, axis=at)
    order = np.arange(len(first)) if sorted else np.argsort(first)
    rank = np.argsort(order)
    return np.take(values, order, at or 0), first[order], rank[places.ravel()], counts[order]


def _one_hot_shape(indices: Array, depth: Array, values: Array, *, axis: int = -1) -> Shape:
    axis = axis_of(axis, indices.ndim + 1)
    return (*indices.shape[:axis], int(depth.ravel()[0]), *indices.shape[axis:])


@operator("OneHot", _one_hot_shape)
def one_hot(indices: Array, depth: Array, values: Array, *, axis: int = -1) -> Array:
    count, axis = int(depth.ravel()[0]), axis_of(axis, indices.ndim + 1)
    at = np.expand_dims(indices.astype(np.int64), axis)
    at = np.where(at < 0, at + count, at)  # counted from the end; what is outside is nowhere hot
    every = np.arange(count).reshape(-1, *(1 for _ in indices.shape[axis:]))
    return np.where(at == every, values[1], values[0])


def _square(x: Array, *, dtype: int | None = None, k: int = 0) -> Shape:
    if x.ndim != 2:
        raise NetworkError(f"a diagonal has two dimensions; the input's shape is {x.shape}")
    return x.shape


@operator("EyeLike", _square)
def eye_like(x: Array, *, dtype: int | None = None, k: int = 0) -> Array:
    rows, columns = x.shape
    return np.eye(rows, columns, k, dtype=x.dtype if dtype is None else dtype_of(dtype))


@operator("ReverseSequence", same)
def reverse_sequence(x: Array, lengths: Array, *, batch_axis: int = 1, time_axis: int = 0) -> Array:
    batch, time = axis_of(batch_axis, x.ndim), axis_of(time_axis, x.ndim)
    if {batch, time} != {0, 1} or lengths.shape != (x.shape[batch],):
        raise NetworkError(
            f"batch_axis {batch} and time_axis {time} with lengths of shape {lengths.shape} do not fit {x.shape}"
        )
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= x.shape[time]:
        raise NetworkError(f"a length of {lengths.min()} to {lengths.max()} is not one of {x.shape[time]} time steps")
    at = np.arange(x.shape[time])
    turned = np.where(at < lengths[:, None], lengths[:, None] - 1 - at, at)
    first = turned if batch == 0 else turned.T
    return np.take_along_axis(x, first.reshape(first.shape + (1,) * (x.ndim - 2)), time)


def _top(x: Array, k: Array, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> list[Shape]:
    axis, count = axis_of(axis, x.ndim), int(k.ravel()[0])
    if not 0 <= count <= x.shape[axis]:
        raise NetworkError(f"the first {count} of an axis of size {x.shape[axis]} are wanted")
    return [(*x.shape[:axis], count, *x.shape[axis + 1 :])] * 2


@operator("TopK", _top)
def top_k(x: Array, k: Array, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Array, Array]:
    axis, count = axis_of(axis, x.ndim), int(k.ravel()[0])
    if largest:  # turned round twice: of equal ones the first comes first
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    first = np.take(order, np.arange(count), axis)
    return np.take_along_axis(x, first, axis), first.astype(np.int64)


def _einsum_shape(*inputs: Array, equation: str) -> Shape:
    given, arrow, wanted = equation.replace(" ", "").partition("->")
    terms, sizes, dots = given.split(","), dict[str, int](), ()
    if len(terms) != len(inputs):
        raise NetworkError(f"equation {equation!r} has {len(terms)} terms for {len(inputs)} inputs")
    for term, x in zip(terms, inputs, strict=True):
        head, dot, tail = term.partition("...")
        rest = x.ndim - len(head) - len(tail)
        if rest < 0 or (rest and not dot):
            raise NetworkError(f"term {term!r} of equation {equation!r} does not fit the shape {x.shape}")
        dots = np.broadcast_shapes(dots, x.shape[len(head) : len(head) + rest])
        for letter, size in (*zip(head, x.shape), *zip(tail, x.shape[len(head) + rest :])):  # noqa: B905
            if size not in (1, sizes.get(letter, size)) and sizes[letter] != 1:
                raise NetworkError(f"{letter!r} of equation {equation!r} has the sizes {sizes[letter]} and {size}")
            sizes[letter] = size if sizes.get(letter, 1) == 1 else sizes[letter]
    if not arrow:
        letters = given.replace(".", "").replace(",", "")
        wanted = "..." * ("." in given) + "".join(c for c in np.unique([*letters]) if letters.count(c) == 1)
    head, dot, tail = wanted.partition("...")
    if not set(head + tail) <= set(sizes):
        raise NetworkError(f"equation {equation!r} gives what no term has")
    return (*(sizes[c] for c in head), *(dots if dot else ()), *(sizes[c] for c in tail))


@operator("Einsum", _einsum_shape)
def einsum(*inputs: Array, equation: str = REQUIRED) -> Array:
    return np.asarray(np.einsum(equation.replace(" ", ""), *inputs, optimize=True), inputs[0].dtype)
