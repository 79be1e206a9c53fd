"""Operators that compute each element by itself: activations, arithmetic with broadcasting, comparisons, casts."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import REQUIRED, Array, broadcast, operator, same

_erf: Any = np.frompyfunc(math.erf, 1, 1)


def erf_of(x: Array) -> Array:
    """Return the error function, to the last bit of the C library's: numpy has none."""
    result: Array = _erf(x).astype(x.dtype) if x.ndim else np.asarray(math.erf(float(x)), x.dtype)
    return result


def sigmoid_of(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small).astype(x.dtype) / (1 + small)
    return result


def _unary(name: str, function: Callable[[Array], Array]) -> None:
    def evaluate(x: Array) -> Array:
        return np.asarray(function(x))

    evaluate.__module__ = __name__
    operator(name, same)(evaluate)


_UNARY: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "Sigmoid": sigmoid_of,
    "Tanh": np.tanh,
    "Erf": erf_of,
    "BitwiseNot": np.invert,
    "HardSwish": lambda x: x * np.clip(x / 6 + x.dtype.type(0.5), 0, 1).astype(x.dtype),
    "Softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Mish": lambda x: x * np.tanh(np.logaddexp(x, x.dtype.type(0))),
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Reciprocal": lambda x: (1 / x).astype(x.dtype),
    "Abs": np.abs,
    "Neg": np.negative,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Not": np.logical_not,
    "IsNaN": np.isnan,
    "Identity": lambda x: x,
}
for _name, _function in _UNARY.items():
    _unary(_name, _function)


@operator("LeakyRelu", same, 1)
def leaky_relu(x: Array, *, alpha: float = 0.01) -> Array:
    return np.where(x < 0, x * x.dtype.type(alpha), x)


@operator("ThresholdedRelu", same)
def thresholded_relu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x > alpha, x, x.dtype.type(0))


@operator("Shrink", same)
def shrink(x: Array, *, lambd: float = 0.5, bias: float = 0.0) -> Array:
    limit, shift = x.dtype.type(lambd), x.dtype.type(bias)
    return np.where(x < -limit, x + shift, np.where(x > limit, x - shift, x.dtype.type(0)))


@operator("IsInf", same)
def is_inf(x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    return np.isinf(x) & (((x < 0) & bool(detect_negative)) | ((x > 0) & bool(detect_positive)))


@operator("Elu", same)
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)), x)


@operator("Celu", same)
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x < 0, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0) / x.dtype.type(alpha)), x)


@operator("Selu", same)
def selu(x: Array, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Array:
    return x.dtype.type(gamma) * elu(x, alpha=alpha)


@operator("HardSigmoid", same, 1)
def hard_sigmoid(x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return np.clip(x * x.dtype.type(alpha) + x.dtype.type(beta), 0, 1).astype(x.dtype)


@operator("Gelu", same, 3)
def gelu(x: Array, *, approximate: str = "none") -> Array:
    half = x.dtype.type(0.5)
    if approximate == "tanh":
        return half * x * (1 + np.tanh(x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x**3)))
    return half * x * (1 + erf_of(x * x.dtype.type(math.sqrt(0.5))))


@operator("Swish", same, 2)
def swish(x: Array, *, alpha: float = 1.0) -> Array:
    return x * sigmoid_of(x * x.dtype.type(alpha))


@operator("Clip", same)
def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@operator("Dropout", lambda x, *others, **_: [x.shape, x.shape])
def dropout(x: Array, ratio: Array | None = None, training_mode: Array | None = None, *, seed: int = 0) -> list[Array]:
    if training_mode is not None and bool(training_mode):
        raise NetworkError("Dropout is in training mode; export the network for inference")
    return [x, np.ones(x.shape, bool)]


@operator("PRelu", broadcast, 1)
def prelu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, x * slope, x)


_MULTIPLY = ("Mul", "Div")


def _binary(name: str, function: Callable[[Array, Array], Array]) -> None:
    def evaluate(a: Array, b: Array) -> Array:
        return np.asarray(function(a, b))

    evaluate.__module__ = __name__
    operator(name, broadcast, 1 if name in _MULTIPLY else 0)(evaluate)


def _divide(a: Array, b: Array) -> Array:
    """Divide; integers towards zero, as C does."""
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise NetworkError("Div divides integers by 0")
    quotient: Array = a // b
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0))).astype(quotient.dtype)


_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": lambda a, b: np.power(a, b.astype(a.dtype)) if a.dtype.kind == "f" else np.power(a, b).astype(a.dtype),
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
}
for _name, _pair in _BINARY.items():
    _binary(_name, _pair)


@operator("BitShift", broadcast)
def bit_shift(a: Array, b: Array, *, direction: str = REQUIRED) -> Array:
    if direction not in ("LEFT", "RIGHT"):
        raise NetworkError(f"direction {direction!r} is not known")
    return np.asarray(np.left_shift(a, b) if direction == "LEFT" else np.right_shift(a, b))


@operator("Mod", broadcast)
def mod(a: Array, b: Array, *, fmod: int = 0) -> Array:
    return np.fmod(a, b) if fmod else np.mod(a, b)


@operator("Min", broadcast)
def minimum(*x: Array) -> Array:
    return reduce(np.minimum, x)


@operator("Max", broadcast)
def maximum(*x: Array) -> Array:
    return reduce(np.maximum, x)


@operator("Sum", broadcast)
def add_all(*x: Array) -> Array:
    return reduce(np.add, x)


@operator("Mean", broadcast)
def mean(*x: Array) -> Array:
    return np.asarray(reduce(np.add, x) / x[0].dtype.type(len(x)))


@operator("Where", broadcast)
def where(condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""numpy's names of ONNX's element types, as far as numpy has them."""


_TEXT = 8
"""ONNX's number of strings."""


def dtype_of(code: int) -> np.dtype[Any]:
    """Return numpy's type for ONNX's number of it, or raise `NetworkError`."""
    if code not in DTYPES:
        what = "text" if code == _TEXT else f"element type {code} of ONNX"
        raise NetworkError(f"{what} is none of numpy's numbers; {', '.join(DTYPES.values())} are")
    return np.dtype(DTYPES[code])


@operator("Cast", same)
def cast(x: Array, *, to: int = REQUIRED, saturate: int = 1, round_mode: str = "up") -> Array:
    if x.dtype.kind not in "fiub":
        raise NetworkError(f"Cast from {x.dtype} is not supported; it takes numbers")
    return x.astype(dtype_of(to))


@operator("CastLike", same)
def cast_like(x: Array, like: Array, *, saturate: int = 1, round_mode: str = "up") -> Array:
    if x.dtype.kind not in "fiub":
        raise NetworkError(f"CastLike from {x.dtype} is not supported; it takes numbers")
    return x.astype(like.dtype)
