"""Operators that reduce or normalise along axes: sums, means, softmax, normalisations, arg max."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import REQUIRED, Array, Shape, axis_of, operator, same


def _axes(x: Array, axes: Array | None, noop: int) -> tuple[int, ...]:
    if axes is None or axes.size == 0:
        return () if noop else tuple(range(x.ndim))
    return tuple(axis_of(axis, x.ndim) for axis in axes.ravel().tolist())


def _reduced(x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Shape:
    gone = _axes(x, axes, noop_with_empty_axes)
    return tuple(1 if i in gone else size for i, size in enumerate(x.shape) if keepdims or i not in gone)


def _reduction(name: str, function: Callable[..., Array]) -> None:
    def evaluate(x: Array, axes: Array | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        gone = _axes(x, axes, noop_with_empty_axes)
        return np.asarray(function(x, axis=gone, keepdims=bool(keepdims))).astype(x.dtype)

    evaluate.__module__ = __name__
    operator(name, _reduced)(evaluate)


def _least(dtype: np.dtype[Any]) -> Any:
    return False if dtype.kind == "b" else -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _most(dtype: np.dtype[Any]) -> Any:
    return True if dtype.kind == "b" else np.inf if dtype.kind == "f" else np.iinfo(dtype).max


def _log_sum_exp(x: Array, **how: Any) -> Array:
    """Return the logarithm of the sum of exponentials, which by themselves may overflow."""
    top = np.max(x, axis=how["axis"], keepdims=True, initial=_least(x.dtype))
    top = np.where(np.isfinite(top), top, 0)
    found = np.log(np.sum(np.exp(x - top), axis=how["axis"], keepdims=True)) + top
    return found if how["keepdims"] else found.squeeze(how["axis"])


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceMax": lambda x, **how: np.max(x, initial=_least(x.dtype), **how),
    "ReduceMin": lambda x, **how: np.min(x, initial=_most(x.dtype), **how),
    "ReduceProd": np.prod,
    "ReduceL1": lambda x, **how: np.sum(np.abs(x), **how),
    "ReduceL2": lambda x, **how: np.sqrt(np.sum(np.square(x), **how)),
    "ReduceSumSquare": lambda x, **how: np.sum(np.square(x), **how),
    "ReduceLogSum": lambda x, **how: np.log(np.sum(x, **how)),
    "ReduceLogSumExp": _log_sum_exp,
}
for _name, _function in _REDUCTIONS.items():
    _reduction(_name, _function)


def _arg(function: Callable[..., Any], x: Array, axis: int, keepdims: int, last: int) -> Array:
    axis = axis_of(axis, x.ndim)
    index = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis) if last else function(x, axis=axis)
    index = np.asarray(index, np.int64)
    return np.expand_dims(index, axis) if keepdims else index


def _arg_shape(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Shape:
    axis = axis_of(axis, x.ndim)
    return (*x.shape[:axis], *([1] if keepdims else []), *x.shape[axis + 1 :])


@operator("ArgMax", _arg_shape)
def arg_max(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _arg(np.argmax, x, axis, keepdims, select_last_index)


@operator("ArgMin", _arg_shape)
def arg_min(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    return _arg(np.argmin, x, axis, keepdims, select_last_index)


@operator("Hardmax", same)
def hardmax(x: Array, *, axis: int = -1, flattened: int = 0) -> Array:
    flat = x.reshape(*x.shape[: axis_of(axis, x.ndim)], -1) if flattened else x
    place = -1 if flattened else axis_of(axis, x.ndim)
    first = np.zeros(flat.shape, x.dtype)
    np.put_along_axis(first, np.expand_dims(flat.argmax(axis=place), place), x.dtype.type(1), place)
    return first.reshape(x.shape)


def _softmax_axes(x: Array, axis: int, flattened: int) -> tuple[int, ...]:
    """Return the axes normalised together: one; before operator set 13 all from it on."""
    axis = axis_of(axis, x.ndim)
    return tuple(range(axis, x.ndim)) if flattened else (axis,)


@operator("Softmax", same, 1)
def softmax(x: Array, *, axis: int = -1, flattened: int = 0) -> Array:
    over = _softmax_axes(x, axis, flattened)
    powers = np.exp(x - x.max(axis=over, keepdims=True))
    return powers / powers.sum(axis=over, keepdims=True)  # type: ignore[no-any-return]


@operator("LogSoftmax", same)
def log_softmax(x: Array, *, axis: int = -1, flattened: int = 0) -> Array:
    over = _softmax_axes(x, axis, flattened)
    low = x - x.max(axis=over, keepdims=True)
    return low - np.log(np.exp(low).sum(axis=over, keepdims=True))  # type: ignore[no-any-return]


def _layer_norm_shapes(x: Array, scale: Array, bias: Array | None = None, *, axis: int = -1, **_: Any) -> list[Shape]:
    axis = axis_of(axis, x.ndim)
    reduced = (*x.shape[:axis], *(1 for _ in x.shape[axis:]))
    return [x.shape, reduced, reduced]


@operator("LayerNormalization", _layer_norm_shapes, 3)
def layer_normalization(
    x: Array, scale: Array, bias: Array | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> list[Array]:
    over = tuple(range(axis_of(axis, x.ndim), x.ndim))
    mean = x.mean(axis=over, keepdims=True)
    inverse = 1 / np.sqrt(np.square(x - mean).mean(axis=over, keepdims=True) + x.dtype.type(epsilon))
    y = (x - mean) * inverse * scale
    return [y if bias is None else y + bias, mean, inverse]


@operator("RMSNormalization", same, 3)
def rms_normalization(x: Array, scale: Array, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Array:
    over = tuple(range(axis_of(axis, x.ndim), x.ndim))
    return x / np.sqrt(np.square(x).mean(axis=over, keepdims=True) + x.dtype.type(epsilon)) * scale  # type: ignore[no-any-return]


def along_channels(values: Array, x: Array) -> Array:
    """Return one value a channel (axis 1) in a shape that broadcasts to x."""
    return values.reshape(-1, *(1 for _ in x.shape[2:]))


@operator("BatchNormalization", same, 1)
def batch_normalization(
    x: Array,
    scale: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Array:
    if training_mode:
        raise NetworkError("BatchNormalization is in training mode; export the network for inference")
    factor, offset = batch_norm_affine(scale, bias, mean, variance, epsilon)
    return (x * along_channels(factor, x) + along_channels(offset, x)).astype(x.dtype)


def batch_norm_affine(scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float) -> tuple[Array, Array]:
    """Return factor and offset of each channel, float64, that a batch normalisation comes to."""
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    return factor, bias - mean * factor


@operator("InstanceNormalization", same, 3)
def instance_normalization(x: Array, scale: Array, bias: Array, *, epsilon: float = 1e-5) -> Array:
    over = tuple(range(2, x.ndim))
    low = x - x.mean(axis=over, keepdims=True)
    low = low / np.sqrt(np.square(low).mean(axis=over, keepdims=True) + x.dtype.type(epsilon))
    return low * along_channels(scale, x) + along_channels(bias, x)  # type: ignore[no-any-return]


@operator("LRN", same, 3)
def local_response_normalization(
    x: Array, *, size: int = REQUIRED, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Array:
    if size < 1:
        raise NetworkError(f"LRN has size {size}; it must be at least 1")
    before, channels = (size - 1) // 2, x.shape[1]
    sums = np.zeros((x.shape[0], channels + 1, *x.shape[2:]), np.float64)
    np.cumsum(np.square(x, dtype=np.float64), axis=1, out=sums[:, 1:])
    first = np.clip(np.arange(channels) - before, 0, channels)
    last = np.clip(np.arange(channels) - before + size, 0, channels)
    squares = np.take(sums, last, axis=1) - np.take(sums, first, axis=1)
    return (x / (bias + alpha / size * squares) ** beta).astype(x.dtype)


@operator("LpNormalization", same, 2)
def lp_normalization(x: Array, *, axis: int = -1, p: int = 2) -> Array:
    norm = np.abs(x).sum(axis, keepdims=True) if p == 1 else np.sqrt(np.square(x).sum(axis, keepdims=True))
    return np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)).astype(x.dtype)


def _cumulated(x: Array, axis: Array, ufunc: np.ufunc, exclusive: int, reverse: int) -> Array:
    """Return what a ufunc makes of all elements up to each, or of those before it."""
    at = axis_of(int(axis.ravel()[0]), x.ndim)
    turned = np.flip(x, at) if reverse else x
    if exclusive:
        first = np.full_like(np.take(turned, [], at), ufunc.identity, shape=(*x.shape[:at], 1, *x.shape[at + 1 :]))
        turned = np.concatenate([first, np.delete(turned, [-1], at)], at) if x.shape[at] else turned
    found = ufunc.accumulate(turned, axis=at, dtype=x.dtype)
    return np.flip(found, at) if reverse else found


@operator("CumSum", same)
def cum_sum(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    return _cumulated(x, axis, np.add, exclusive, reverse)


@operator("CumProd", same)
def cum_prod(x: Array, axis: Array, *, exclusive: int = 0, reverse: int = 0) -> Array:
    return _cumulated(x, axis, np.multiply, exclusive, reverse)


@operator("Det", lambda x: x.shape[:-2])
def determinant(x: Array) -> Array:
    return np.asarray(np.linalg.det(x), x.dtype)
