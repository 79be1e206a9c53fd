"""Linear maps: operators whose products with constant weights are the array's.

Such an operator is written once, as `run`: it arranges its data as vectors, hands them to `products`, and arranges what
comes back. A product may be a float matrix, a recorder of calibration, the integer reference or the array. A
convolution asks its product for the patch of neighbouring outputs that one vector serves, (1, 1) unless it says more.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.table import OPERATORS, Array, Shape, describe
from eie.network.operators.windows import Geometry, Ints, window


class Product(ABC):
    """Multiplies vectors by a matrix and adds its bias: float, shape (M, C) -> (M, R)."""

    def patch(self, geometry: Geometry) -> Ints:
        """Return how many neighbouring outputs of a convolution a vector serves, along each axis."""
        return (1,) * len(geometry.kernel)

    @abstractmethod
    def __call__(self, vectors: Array) -> Array: ...


@dataclass(frozen=True)
class Matrix:
    """A constant matrix of an operator.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float
    bias : ndarray, shape (R,), float, or None
    mask : ndarray, shape (R, C), bool, or None
        Where the operator has weights at all (those of a grouped convolution are blocks); None: everywhere.
    """

    weight: Array
    bias: Array | None = None
    mask: Array | None = None


class FloatProduct(Product):
    """The product in the network's own floats."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def __call__(self, vectors: Array) -> Array:
        y = vectors @ self.matrix.weight.T
        return y if self.matrix.bias is None else y + self.matrix.bias


@dataclass(frozen=True)
class Linear:
    """How an operator becomes products.

    Parameters
    ----------
    weights : callable
        Inputs (None: not constant, or absent), attributes -> the inputs that the matrices replace, or None if the
        weights are not constant, or no single matrix.
    prepare : callable
        Inputs, attributes -> attributes that say what `run` would need the weights for.
    matrices : callable
        Inputs, attributes -> list of Matrix.
    run : callable
        Inputs (weights absent), attributes, products -> list of ndarray.
    """

    weights: Callable[[list[Any], dict[str, Any]], tuple[int, ...] | None]
    prepare: Callable[[list[Any], dict[str, Any]], dict[str, Any]]
    matrices: Callable[[list[Any], dict[str, Any]], list[Matrix]]
    run: Callable[[list[Any], dict[str, Any], Sequence[Product]], list[Array]]


LINEAR: dict[str, Linear] = {}
"""The linear maps by the name of their operator."""


def enter(name: str, linear: Linear, signature: Callable[..., Any], shape: Callable[..., Any]) -> None:
    """Enter a linear map into both tables; its float evaluation is its own `run`."""
    LINEAR[name] = linear
    OPERATORS[name] = describe(name, signature, shape, "array")


def evaluate_as_products(name: str, inputs: list[Array | None], weights: tuple[int, ...], **attributes: Any) -> Any:
    """Compute a linear map in floats."""
    linear = LINEAR[name]
    attributes = linear.prepare(inputs, attributes)
    products = [FloatProduct(matrix) for matrix in linear.matrices(inputs, attributes)]
    data = [None if i in weights else x for i, x in enumerate(inputs)]
    return linear.run(data, attributes, products)


# Gemm and MatMul


def _matmul_weights(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    constant = [i for i, x in enumerate(inputs[:2]) if x is not None]
    if len(constant) != 1:
        return None
    weight = inputs[constant[0]]
    bias = (2,) if len(inputs) > 2 and inputs[2] is not None else ()
    return None if weight.ndim == 0 or math.prod(weight.shape[:-2]) != 1 else (constant[0], *bias)


def _keep(inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    return attributes


def _matmul_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    first, second, bias = (*inputs, None)[:3]
    weight = second if first is None else first
    flat = weight.reshape(weight.shape[-2:])
    if flat.ndim == 1:
        flat = flat[None] if first is not None else flat[:, None]
    return [Matrix(flat.T if first is None else flat, None if bias is None else bias.ravel())]


def _rows(x: Array, product: Product) -> Array:
    y = product(x.reshape(-1, x.shape[-1]))
    return y.reshape(*x.shape[:-1], y.shape[-1])


def _matmul_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    first, second, _ = (*inputs, None)[:3]
    if first is not None:
        y = _rows(first, products[0])
    elif second.ndim == 1:
        y = _rows(second, products[0])
    else:
        y = _rows(second.swapaxes(-1, -2), products[0]).swapaxes(-1, -2)
    rank = attributes.get("weight_rank", 2)
    if rank == 1:
        y = y[..., 0] if first is not None else y[..., 0, :] if second.ndim > 1 else y[..., 0]
    return [y.reshape((1,) * max(0, rank - y.ndim) + y.shape)]


def _matmul_prepare(inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    weight = inputs[1] if inputs[0] is None else inputs[0]
    return {**attributes, "weight_rank": int(weight.ndim)}


def matmul(a: Array, b: Array, bias: Array | None = None, *, weight_rank: int = 2) -> Array:
    """Multiply; the bias, not of ONNX, is what `eie.network.affine` folds: (R,), or (R, 1) for weights at the left."""
    y = np.matmul(a, b)
    return y if bias is None else y + bias


def _matmul_shape(a: Array, b: Array, bias: Array | None = None, **_: Any) -> Shape:
    left, right = (a.shape if a.ndim > 1 else (1, *a.shape)), (b.shape if b.ndim > 1 else (*b.shape, 1))
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise NetworkError(f"shapes {a.shape} and {b.shape} do not multiply")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return (*batch, *(left[-2:-1] if a.ndim > 1 else ()), *(right[-1:] if b.ndim > 1 else ()))


enter("MatMul", Linear(_matmul_weights, _matmul_prepare, _matmul_matrices, _matmul_run), matmul, _matmul_shape)


def gemm(
    a: Array,
    b: Array,
    c: Array | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Array:
    product = (a.T if transA else a) @ (b.T if transB else b)
    y = product if alpha == 1 else product * product.dtype.type(alpha)
    return y if c is None else y + (c if beta == 1 else c * c.dtype.type(beta))


def _gemm_shape(
    a: Array, b: Array, c: Array | None = None, *, alpha: float, beta: float, transA: int, transB: int
) -> Shape:
    left, right = (a.shape[::-1] if transA else a.shape), (b.shape[::-1] if transB else b.shape)
    if a.ndim != 2 or b.ndim != 2 or left[1] != right[0]:
        raise NetworkError(f"shapes {left} and {right} do not multiply")
    return left[0], right[1]


def _gemm_weights(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    weights = _matmul_weights(inputs[:2], attributes)
    if weights is None or len(inputs) < 3 or inputs[2] is None:
        return weights
    return (*weights, 2) if gemm_bias(inputs, attributes) is not None else weights


def gemm_bias(inputs: list[Any], attributes: dict[str, Any]) -> Array | None:
    """Return C as one value a row of the matrix, shape (R,), or None if it is more than that."""
    c = np.atleast_2d(inputs[2]) * np.float32(attributes["beta"])
    if inputs[0] is not None:  # the weights come first, so C varies along the rows of the output
        rows = inputs[0].shape[1 if attributes["transA"] else 0]
        c = c.T
    else:
        rows = inputs[1].shape[0 if attributes["transB"] else 1]
    return np.broadcast_to(c[0], (rows,)) if len(c) == 1 and c.shape[1] in (1, rows) else None


def _gemm_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    weights_first = inputs[0] is not None
    w = inputs[0] if weights_first else inputs[1]
    turn = attributes["transA"] if weights_first else not attributes["transB"]
    weight = w.T if turn else w
    bias = gemm_bias(inputs, attributes) if len(inputs) > 2 and inputs[2] is not None else None
    return [Matrix(weight if attributes["alpha"] == 1 else weight * w.dtype.type(attributes["alpha"]), bias)]


def _gemm_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    a, b, c = (*inputs, None)[:3]
    if a is not None:
        y = products[0](a.T if attributes["transA"] else a)
    else:
        y = products[0](b if attributes["transB"] else b.T).T
    return [y if c is None else y + c * np.float32(attributes["beta"])]


enter("Gemm", Linear(_gemm_weights, _keep, _gemm_matrices, _gemm_run), gemm, _gemm_shape)


# Conv and ConvTranspose


def _conv_weights(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    if inputs[0] is not None or inputs[1] is None:
        return None
    return (1, 2) if len(inputs) > 2 and inputs[2] is not None else (1,)


def _conv_prepare(inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    given, found = attributes["kernel_shape"], list(inputs[1].shape[2:])
    if given is not None and list(given) != found:
        raise NetworkError(f"kernel_shape {given} differs from the weight's {found}")
    return {**attributes, "kernel_shape": found}


def _blocks(w: Array, groups: int, bias: Array | None) -> list[Matrix]:
    """Return the matrix of a convolution: (Cout, Cin / groups, *kernel) -> (Cout, Cin * taps), blocks for groups."""
    outputs, inputs = w.shape[0], w.shape[1]
    flat = w.reshape(outputs, -1)
    if groups == 1:
        return [Matrix(flat, bias)]
    if outputs % groups:
        raise NetworkError(f"{outputs} output channels do not divide into {groups} groups")
    taps = flat.shape[1] // inputs
    weight = np.zeros((groups, outputs // groups, groups, inputs * taps), w.dtype)
    mask = np.zeros(weight.shape, bool)
    each = np.arange(groups)
    weight[each, :, each, :] = flat.reshape(groups, outputs // groups, -1)
    mask[each, :, each, :] = True
    shape = (outputs, groups * inputs * taps)
    return [Matrix(weight.reshape(shape), bias, mask.reshape(shape))]


def _conv_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    bias = inputs[2] if len(inputs) > 2 else None
    return _blocks(inputs[1], attributes["group"], bias)


def _conv_geometry(x: Array, attributes: dict[str, Any]) -> Geometry:
    names = ("strides", "dilations", "pads", "auto_pad")
    return window(x.shape[2:], attributes["kernel_shape"], *(attributes[name] for name in names))


def _conv_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    return [_with_bias(convolve(inputs[0], _conv_geometry(inputs[0], attributes), products[0]), inputs)]


def _with_bias(y: Array, inputs: list[Any]) -> Array:
    """Add a bias that is not constant."""
    bias = inputs[2] if len(inputs) > 2 else None
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in y.shape[2:]))


def convolve(x: Array, geometry: Geometry, product: Product) -> Array:
    """Convolve by products: a vector is what a patch of outputs reads, its result the patch's outputs by pixel."""
    rank = len(geometry.kernel)
    patch = product.patch(geometry)
    found = geometry.gather(x, patch)
    counts = geometry.patches(patch)
    batch, _channels = x.shape[:2]
    order = [0, *range(2, 2 + 2 * rank, 2), 1, *range(3, 3 + 2 * rank, 2)]
    vectors = found.transpose(order).reshape(batch * math.prod(counts), -1)
    results = product(vectors).reshape(batch, *counts, *patch, -1)
    pairs = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    pixels = results.transpose(0, 1 + 2 * rank, *pairs)
    whole = pixels.reshape(batch, -1, *(n * p for n, p in zip(counts, patch, strict=True)))
    cut = (slice(None), slice(None), *(slice(n) for n in geometry.outputs))
    return whole[cut]


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Any:
    given = {key: value for key, value in locals().items() if key not in "xwb"}
    return evaluate_as_products("Conv", [x, w, b], (1, 2), **given)


def _conv_shape(x: Array, w: Array, b: Array | None = None, **attributes: Any) -> Shape:
    _check_channels(x, w.shape[1] * attributes["group"], w, "Conv")
    geometry = _conv_geometry(x, _conv_prepare([x, w], attributes))
    return (x.shape[0], w.shape[0], *geometry.outputs)


def _check_channels(x: Array, channels: int, w: Array, name: str) -> None:
    if x.ndim != w.ndim or x.shape[1] != channels:
        raise NetworkError(f"{name}'s input has the shape {x.shape}; its weights {w.shape} take {channels} channels")


enter("Conv", Linear(_conv_weights, _conv_prepare, _conv_matrices, _conv_run), conv, _conv_shape)


def _transposed_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    """A transposed convolution is a convolution of its input with zeros inserted, its kernel turned round."""
    w, bias = inputs[1], inputs[2] if len(inputs) > 2 else None
    groups = attributes["group"]
    turned = (slice(None), slice(None), *(slice(None, None, -1) for _ in w.shape[2:]))
    parts = w[turned].reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    return _blocks(parts.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:]), groups, bias)


def _transposed_geometry(sizes: Shape, attributes: dict[str, Any]) -> Geometry:
    kernel, rank = attributes["kernel_shape"], len(attributes["kernel_shape"])
    strides, dilations = (attributes[name] or [1] * rank for name in ("strides", "dilations"))
    extra = attributes["output_padding"] or [0] * rank
    pads, target = attributes["pads"] or [0] * 2 * rank, attributes["output_shape"]
    auto = attributes["auto_pad"]
    if target is None and auto.startswith("SAME"):
        target = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    before, outputs = [], []
    for i, size in enumerate(sizes):
        reach = (kernel[i] - 1) * dilations[i] + 1
        full = (size - 1) * strides[i] + reach + extra[i]
        if target is None:
            first, count = pads[i], full - pads[i] - pads[i + rank]
        else:
            total, count = full - target[i], int(target[i])
            first = total // 2 if auto == "SAME_UPPER" else total - total // 2
        before.append(reach - 1 - first)
        outputs.append(count)
    return Geometry(tuple(kernel), (1,) * rank, tuple(dilations), tuple(before), tuple(outputs))


def _transposed_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    x = inputs[0]
    strides = attributes["strides"] or [1] * (x.ndim - 2)
    geometry = _transposed_geometry(x.shape[2:], attributes)
    spread = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))), x.dtype)
    places = (slice(None), slice(None), *(slice(None, None, s) for s in strides))
    spread[places] = x
    return [_with_bias(convolve(spread, geometry, products[0]), inputs)]


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    output_padding: list[int] | None = None,
    output_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Any:
    given = {key: value for key, value in locals().items() if key not in "xwb"}
    return evaluate_as_products("ConvTranspose", [x, w, b], (1, 2), **given)


def _transposed_shape(x: Array, w: Array, b: Array | None = None, **attributes: Any) -> Shape:
    _check_channels(x, w.shape[0], w, "ConvTranspose")
    geometry = _transposed_geometry(x.shape[2:], _conv_prepare([x, w], attributes))
    return (x.shape[0], w.shape[1] * attributes["group"], *geometry.outputs)


enter(
    "ConvTranspose",
    Linear(_conv_weights, _conv_prepare, _transposed_matrices, _transposed_run),
    conv_transpose,
    _transposed_shape,
)
