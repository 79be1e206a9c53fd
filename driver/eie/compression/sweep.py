"""Compensation with one inverse for all rows of a layer (Frantar and Alistarh, "SparseGPT", 2023).

Columns are taken in turn. What a column's weights lose, by pruning or by rounding to a shared value, the weights of the
columns after it make up for, in every row alike as if the row still had them all. So one inverse serves all rows, at
columns**3 + rows * columns**2 steps; `eie.compression.obs` is exact, for layers that are small enough.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import Nearest, values_of
from eie.compression.hessian import inverse_factor
from eie.compression.least_squares import LeastSquares

_BLOCK = 128
"""Columns whose weights are chosen together, and whose changes reach the columns after them in one product."""

_REFIT_ROWS = 256


class Sweep:
    """A layer's columns in the order in which they are taken, those of the largest variance first."""

    def __init__(self, task: LeastSquares) -> None:
        self.task = task
        ((_, matrix),) = task.hessian.parts(len(task.weight))  # one, for all rows
        self.order = np.argsort(-matrix.diagonal(), kind="stable")
        self.factor = inverse_factor(matrix[np.ix_(self.order, self.order)])

    def of_rows(self, task: LeastSquares) -> Sweep:
        """Return the sweep of some of the rows, as `LeastSquares.of_rows` gives them."""
        part = Sweep.__new__(Sweep)
        part.task, part.order, part.factor = task, self.order, self.factor
        return part

    def prune(self, keep: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Keep so many weights of the layer (or as many as are allowed); return them and the mask, shape (R, C).

        How many each block of columns keeps follows from what weights cost before any has changed, which ones from what
        they cost when their turn comes.
        """
        quota = self._quota(keep)
        weight, allowed = self._columns(self.task.weight), self._columns(self.task.allowed)
        mask = np.zeros(weight.shape, bool)
        for block, left in quota:
            cost = weight[block] / self.factor.diagonal()[block, None]
            score = np.where(allowed[block], self.task.importance * cost**2, -1.0)
            _keep_best(score, left, mask[block])
            self._take(weight, block, lambda j, column: np.where(mask[j], column, 0.0))
        return self._restore(weight), self._restore(mask)

    def share(
        self, mask: NDArray[np.bool_], codebooks: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Give the weights of a mask shared values in turn; return codes, shape (R, C), and codebooks, refitted."""
        find = Nearest(values_of(codebooks))
        mask, weight = self._columns(mask), self._columns(self.task.weight)
        codes = np.zeros(weight.shape, np.uint8)

        def fix(j: int, column: NDArray[np.float64]) -> NDArray[np.float64]:
            codes[j] = np.where(mask[j], find(column), 0)
            return find.table[codes[j]]

        for start in range(0, len(weight), _BLOCK):
            self._take(weight, slice(start, min(start + _BLOCK, len(weight))), fix)
        codes = self._restore(codes)
        return codes, self.task.refit(codes, codebooks, _REFIT_ROWS)

    def _quota(self, keep: int) -> list[tuple[slice, int]]:
        """Return the blocks of columns, and how many weights each keeps."""
        cost = np.einsum("ij,ij->j", self.factor, self.factor)
        score = self.task.importance[:, None] * self.task.weight[:, self.order] ** 2
        score /= cost
        score[~self.task.allowed[:, self.order]] = -1
        mask = np.zeros(score.shape, bool)
        _keep_best(score, min(keep, int(np.count_nonzero(self.task.allowed))), mask)
        counts = np.count_nonzero(mask, axis=0)
        starts = range(0, len(counts), _BLOCK)
        blocks = [slice(start, min(start + _BLOCK, len(counts))) for start in starts]
        return [(block, int(counts[block].sum())) for block in blocks]

    def _take(
        self,
        weight: NDArray[np.float64],
        block: slice,
        fix: Callable[[int, NDArray[np.float64]], NDArray[np.float64]],
    ) -> None:
        """Fix a block's columns in turn, each to what `fix` makes of it, and move those after them."""
        factor = self.factor[block, block]
        errors = np.empty((block.stop - block.start, weight.shape[1]))
        for j in range(len(errors)):
            column = weight[block.start + j]
            column -= factor[:j, j] @ errors[:j]
            fixed = fix(block.start + j, column)
            errors[j] = (column - fixed) / factor[j, j]
            column[:] = fixed
        weight[block.stop :] -= self.factor[block, block.stop :].T @ errors

    def _columns(self, matrix: NDArray) -> NDArray:
        """Return the columns in the order in which they are taken, shape (C, R), each in one piece of memory."""
        return np.ascontiguousarray(matrix.T[self.order])

    def _restore(self, columns: NDArray) -> NDArray:
        """Return columns to the layer's own order, shape (R, C)."""
        restored = np.empty(columns.shape[::-1], columns.dtype)
        restored[:, self.order] = columns.T
        return restored


def _keep_best(score: NDArray[np.floating], keep: int, mask: NDArray[np.bool_]) -> None:
    """Set the mask where the score is among the highest; of equal ones the first."""
    if keep == 0:
        mask[:] = False
        return
    threshold = np.partition(score, score.size - keep, axis=None)[score.size - keep]
    mask[:] = score > threshold
    missing = keep - int(np.count_nonzero(mask))
    tied = np.nonzero(score == threshold)
    mask[tuple(index[:missing] for index in tied)] = True
