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
from eie.network.operators.float_convolution import convolve_floats
from eie.network.operators.table import OPERATORS, Array, Shape, describe
from eie.network.operators.windows import Geometry, Ints


class Product(ABC):
    """Multiplies vectors by a matrix and adds its bias: float, shape (M, C) -> (M, R)."""

    def patch(self, geometry: Geometry) -> Ints:
        """Return how many neighbouring outputs of a convolution a vector serves, along each axis."""
        return (1,) * len(geometry.kernel)

    def entering(self, x: Array) -> Array:
        """Return what the product makes of each input, before they are arranged as vectors, which repeat them."""
        return x

    def entered(self, integers: Array) -> Array:
        """Multiply vectors of what `entering` gave, integers where that made some."""
        return self(integers)

    def convolved(self, x: Array, geometry: Geometry) -> Array | None:
        """Return a convolution's results, (B, C, *sizes) -> (B * outputs, R), or None if it takes vectors."""
        return None

    @abstractmethod
    def __call__(self, vectors: Array) -> Array: ...


@dataclass(frozen=True)
class Matrix:
    """A constant matrix of an operator.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float
    bias : ndarray, shape (R,), float, or None
    groups : int
        Blocks on the diagonal, all of one shape, outside of which the operator has no weights, as those of a grouped
        convolution: rows and columns are in the order of the groups.
    """

    weight: Array
    bias: Array | None = None
    groups: int = 1

    @property
    def blocks(self) -> Array:
        """The weights that the operator has, shape (groups, R / groups, C / groups)."""
        rows, columns = self.weight.shape
        if self.groups == 1:
            return self.weight[None]
        each = np.arange(self.groups)
        return self.weight.reshape(self.groups, rows // self.groups, self.groups, columns // self.groups)[each, :, each]

    def times(self, vectors: Array) -> Array:
        """Return the products with vectors, shape (M, C) -> (M, R), without the bias; a group sees its columns only."""
        if self.groups == 1:
            return vectors @ self.weight.T
        rows, columns = self.weight.shape
        parts = vectors.reshape(len(vectors), self.groups, columns // self.groups).swapaxes(0, 1)
        return np.matmul(parts, self.blocks.swapaxes(1, 2)).swapaxes(0, 1).reshape(len(vectors), rows)


class FloatProduct(Product):
    """The product in the network's own floats.

    What a subclass does to outputs is `finished`; one that must see the vectors has a `__call__` of its own.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def __call__(self, vectors: Array) -> Array:
        return self.finished(self.matrix.times(vectors))

    def convolved(self, x: Array, geometry: Geometry) -> Array | None:
        if type(self).__call__ is not FloatProduct.__call__:
            return None
        outputs = convolve_floats(x, self.matrix.blocks, self.matrix.groups, geometry)
        return None if outputs is None else self.finished(outputs)

    def finished(self, outputs: Array) -> Array:
        """Return what becomes of products, shape (M, R): they get the bias."""
        return outputs if self.matrix.bias is None else outputs + self.matrix.bias


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
    data = second if first is None else first
    return [y.reshape((1,) * leading_ones(rank, data.ndim) + y.shape)]


def leading_ones(rank: int, of_data: int) -> int:
    """Return how many axes of size 1 weights of this rank put before a product with data of another."""
    return max(0, rank - max(2, of_data))


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
