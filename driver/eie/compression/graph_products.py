"""Products that remember what goes through them, that are exact and fast, or that err on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eie.compression.forward import forward_integer
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError
from eie.network.graph import Array
from eie.network.graph_model import ArrayProduct, QuantisedProduct
from eie.network.operators.linear import FloatProduct, Matrix

SAMPLED_VECTORS = 4096
"""Vectors of a linear map, spread over the calibration, that compensation and the report see; ranges come from all."""

_NOISE = 0.01
"""Standard deviation of errors on purpose, in units of the outputs' root mean square."""
_MOVED = 0.03
"""Of those by weights, likewise."""


class FusedProduct(FloatProduct):
    """A float product with the ReLU behind it, if there is one."""

    def __init__(self, matrix: Matrix, relu: bool) -> None:
        super().__init__(matrix)
        self.relu = relu

    def finished(self, outputs: Array) -> Array:
        outputs = super().finished(outputs)
        return np.maximum(outputs, 0) if self.relu else outputs


class Recorder(FusedProduct):
    """A product that remembers the range of what goes through it, and a sample."""

    def __init__(self, matrix: Matrix, relu: bool) -> None:
        super().__init__(matrix, relu)
        self.input_peak = 0.0
        self.lows = np.full(len(matrix.weight), np.inf)
        self.highs = np.full(len(matrix.weight), -np.inf)
        self._inputs: list[Array] = []
        self._outputs: list[Array] = []
        self._seen, self._step = 0, 1

    def __call__(self, vectors: Array) -> Array:
        outputs = super().__call__(vectors)
        if vectors.size:
            self.input_peak = max(self.input_peak, float(np.abs(vectors).max()))
            self.lows = np.minimum(self.lows, outputs.min(axis=0))
            self.highs = np.maximum(self.highs, outputs.max(axis=0))
        self._sample(vectors, outputs)
        return outputs

    def _sample(self, vectors: Array, outputs: Array) -> None:
        """Keep each n-th of all vectors so far; with n so small that they are too many, take each k-th of those."""
        before, self._seen = self._seen, self._seen + len(vectors)
        apart = -(-self._seen // (SAMPLED_VECTORS * self._step))
        if apart > 1 and self._inputs:
            self._inputs, self._outputs = ([kept[::apart].copy()] for kept in self.samples())
        self._step *= max(1, apart)
        first = -before % self._step
        if first < len(vectors) or not self._inputs:
            self._inputs.append(np.array(vectors[first :: self._step], np.float32))
            self._outputs.append(np.array(outputs[first :: self._step], np.float32))

    @property
    def vectors(self) -> int:
        """How many have gone through it."""
        return self._seen

    @property
    def output_peak(self) -> float:
        """Largest magnitude of all outputs."""
        return float(max(self.highs.max(initial=0), -self.lows.min(initial=0)))

    def samples(self) -> tuple[Array, Array]:
        """Return inputs and outputs, shapes (n, C) and (n, R)."""
        return np.concatenate(self._inputs), np.concatenate(self._outputs)

    def check(self, name: str, compressed: bool = False) -> None:
        """Raise `NetworkError` if the calibration leaves float32 here, in the given network or the compressed one."""
        if np.isfinite(self.input_peak) and np.isfinite(self.output_peak):
            return
        if not compressed:
            raise NetworkError(f"layer {name!r}: the calibration holds or causes infinity or NaN here")
        raise NetworkError(
            f"layer {name!r}: the layers before it, once they are compressed, cause infinity or NaN here, which the "
            "given network does not: in 16 bits a small number became 0 before a division, a root or a logarithm; keep "
            "more weights, with two terms, or begin the network behind that operator"
        )


class NoisyProduct(FloatProduct):
    """A float product whose outputs are a little off, before a ReLU; it remembers by how much."""

    def __init__(self, matrix: Matrix, relu: bool) -> None:
        super().__init__(matrix)
        self.relu = relu
        self._random = frozen_random(0)
        self._squares, self._vectors = 0.0, 0

    def finished(self, outputs: Array) -> Array:
        outputs = super().finished(outputs)
        size = _NOISE * float(np.sqrt(np.mean(np.square(outputs, dtype=np.float64)))) if outputs.size else 0.0
        noise = (size * (self._random.random_sample(outputs.shape) * 2 - 1) * 3**0.5).astype(outputs.dtype)
        self._squares += float(np.sum(np.square(noise, dtype=np.float64)))
        self._vectors += len(outputs)
        outputs = outputs + noise
        return np.maximum(outputs, 0) if self.relu else outputs

    @property
    def power(self) -> float:
        """Squared error of a vector, on the mean."""
        return self._squares / max(1, self._vectors)


class MovedProduct(FloatProduct):
    """A float product whose weights are a little off, and its biases so that the mean output stays, before a ReLU.

    Parameters
    ----------
    matrix : Matrix
    relu : bool
    inputs : ndarray, shape (n, C)
        What goes through it in the given network.
    """

    def __init__(self, matrix: Matrix, relu: bool, inputs: Array) -> None:
        off = np.where(matrix.weight != 0, frozen_random(0).random_sample(matrix.weight.shape) - 0.5, 0)
        moved = replace(matrix, weight=off.astype(matrix.weight.dtype), bias=None)
        errors, outputs = moved.times(inputs), matrix.times(inputs)
        spread = np.square(errors - errors.mean(axis=0), dtype=np.float64).mean()
        size = _MOVED * float(np.sqrt(np.square(outputs, dtype=np.float64).mean() / spread)) if spread else 0.0
        bias = (0 if matrix.bias is None else matrix.bias) - size * errors.mean(axis=0)
        weight = matrix.weight + size * moved.weight
        super().__init__(
            replace(matrix, weight=weight.astype(matrix.weight.dtype), bias=bias.astype(matrix.weight.dtype))
        )
        self.relu = relu
        self.power = size**2 * float(spread) * len(matrix.weight)
        """Squared error of a vector, on the mean."""

    def finished(self, outputs: Array) -> Array:
        outputs = super().finished(outputs).astype(outputs.dtype, copy=False)
        return np.maximum(outputs, 0) if self.relu else outputs


class FastProduct(QuantisedProduct):
    """An `IntegerProduct` that multiplies dense matrices, or dense groups: equal, and faster for many vectors."""

    def __init__(self, product: ArrayProduct, groups: int = 1) -> None:
        super().__init__(product)
        self.groups = groups
        self.weights = [layer.dense_integers() for layer in product.model.layers]

    def entered(self, integers: Array) -> Array:
        for layer, weights in zip(self.product.model.layers, self.weights, strict=True):
            integers = forward_integer(integers, weights, layer, self.groups)
        return self.product.to_floats(integers)


def compact(matrix: Matrix) -> NDArray[np.float32]:
    """Return a matrix without the places where its operator has no weights: as many are left in every row."""
    weight = np.asarray(matrix.blocks, np.float32)
    if not np.isfinite(weight).all():
        raise NetworkError("a weight is NaN or infinite")
    return weight.reshape(len(matrix.weight), -1)
