"""The task that compensation solves for a layer: weights of a given kind, with the least error of the outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import codes_of_terms, values_of
from eie.compression.hessian import GroupedHessian, Hessian, hessian

_BLOCK = 1 << 22


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """Find weights Z of a given kind with the least ``sum over rows of importance * (Z - W) H (Z - W)``.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float64
        W: the weights that would be best if any were allowed.
    hessian : Hessian
        H, of the inputs that the layer will get: those that the compressed layers before it give.
    importance : ndarray, shape (R,), float64
        What an error of a row's output costs at the end of the network.
    allowed : ndarray, shape (R, C), bool
        Where a weight may be: where the given network has one.
    inputs : ndarray, shape (B, C), float32; (B, groups C) with a Hessian of groups
    bias : ndarray, shape (R,), float64
        The bias if the weights were W.
    """

    weight: NDArray[np.float64]
    hessian: Hessian | GroupedHessian
    importance: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    inputs: NDArray[np.float32]
    bias: NDArray[np.float64]

    def bias_of(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the best bias of other weights: it keeps the mean output."""
        return self.bias + self.hessian.at_mean(self.weight - weight)

    def loss(self, weight: NDArray[np.floating]) -> float:
        """Return the mean squared error, weighted by importance, on the inputs, bias adapted; without damping."""
        total = 0.0
        step = max(1, _BLOCK // len(self.inputs))
        for start in range(0, len(weight), step):
            rows = np.arange(start, min(start + step, len(weight)))
            error = self.hessian.of_rows(rows).outputs(weight[rows] - self.weight[rows], self.inputs)
            total += float(self.importance[rows] @ np.einsum("rb,rb->r", error, error, dtype=np.float64))
        return total / len(self.inputs)

    def damped_loss(self, weight: NDArray[np.floating]) -> float:
        """Return what the Hessian makes of it: on few inputs nearer than `loss` to the error on other ones."""
        error = weight - self.weight
        return float(self.importance @ np.einsum("rc,rc->r", self.hessian.times(error), error))

    def of_rows(self, rows: NDArray[np.intp]) -> LeastSquares:
        """Return the task of some of the rows alone."""
        return LeastSquares(
            self.weight[rows],
            self.hessian.of_rows(rows),
            self.importance[rows],
            self.allowed[rows],
            self.inputs,
            self.bias[rows],
        )

    def in_units(self, units: NDArray[np.float64]) -> LeastSquares:
        """Return the task of weights that are in units of these of each row, shape (R,); the losses are the same."""
        scaled = self.weight / units[:, None]
        return replace(self, weight=scaled, importance=self.importance * units**2, bias=self.bias / units)

    def row_factors(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what each row of other weights is best multiplied by, shape (R,); 1 where that is not above 0."""
        moved = self.hessian.times(weight)
        square = np.einsum("rc,rc->r", moved, weight)
        product = np.einsum("rc,rc->r", moved, self.weight)
        positive = (square > 0) & (product > 0)
        return np.where(positive, product / np.where(positive, square, 1), 1.0)

    def refit(self, codes: NDArray[np.uint8], codebooks: NDArray[np.float64], rows: int = 1 << 30) -> NDArray:
        """Return the codebooks, shape (terms, 16), that are best for given codes, from so many rows evenly spread.

        Values that nothing uses, or that the inputs do not tell apart, stay as they are.
        """
        chosen = np.unique(np.linspace(0, len(codes) - 1, min(rows, len(codes))).astype(np.intp))
        entries = [
            (term, int(entry))
            for term, part in enumerate(codes_of_terms(codes, len(codebooks)))
            for entry in np.unique(part[part > 0])
        ]
        if not entries:
            return codebooks
        normal, right = self._normal_equations(codes, codebooks, entries, chosen)
        moved = codebooks.copy()
        moved[tuple(np.transpose(entries))] += np.linalg.lstsq(normal, right, rcond=1e-12)[0]
        return moved

    def _normal_equations(
        self,
        codes: NDArray[np.uint8],
        codebooks: NDArray[np.float64],
        entries: list[tuple[int, int]],
        chosen: NDArray[np.intp],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return those of the codebooks' entries, in units of the Hessian's mean: matrix and right side."""
        values, count = values_of(codebooks), len(entries)
        unit = self.hessian.diagonal.mean()
        scale = self.importance / self.importance.max()
        normal, right = np.zeros((count, count)), np.zeros(count)
        step = max(1, _BLOCK // (codes.shape[1] * count))
        for start in range(0, len(chosen), step):
            block = chosen[start : start + step]
            of_terms = codes_of_terms(codes[block], len(codebooks))
            parts = np.stack([of_terms[term] == entry for term, entry in entries]).astype(np.float64)
            across = self.hessian.across(parts * (scale[block, None] / unit), block)
            normal += across.reshape(count, -1) @ parts.reshape(count, -1).T
            off = self.weight[block] - values[codes[block]]
            right += across.reshape(count, -1) @ off.ravel()
        return normal, right


def least_squares(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    given: NDArray[np.float32],
    inputs: NDArray[np.float32],
    importance: NDArray[np.float64],
) -> LeastSquares:
    """Return the task of a layer.

    The outputs that it should have are those of the given network; the inputs that it gets are another matter, once the
    layers before it are compressed. So what it should compute is regressed on them, with the given weights as
    the point that damping draws to.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float32
    bias : ndarray, shape (R,), float32, optional
    given, inputs : ndarray, shape (B, C), float32
        The layer's inputs in the given network and in the compressed one.
    importance : ndarray, shape (R,), float64
    """
    moments = hessian(inputs)
    best = weight.astype(np.float64)
    offset = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
    if given is not inputs:
        shift = given.astype(np.float64) - inputs
        mean = shift.mean(axis=0)
        cross = moments.trust * ((shift - mean).T @ (inputs - moments.mean)) / len(inputs)
        offset = offset + best @ mean
        # W H + W cross, solved for the weights that give it.
        best = best + np.linalg.solve(moments.matrix, (best @ cross).T).T
        offset = offset + (weight - best) @ moments.mean
    return LeastSquares(best, moments, importance, weight != 0, inputs, offset)
