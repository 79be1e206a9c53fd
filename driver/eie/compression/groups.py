"""The task of one matrix of a network: whole, or group by group where rows see different inputs, as depthwise ones do.

Its weights are then held without the places where the operator has none, as many in every row, and each group has a
Hessian of its own, so that the effort grows with the cube of a group's columns and not of all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import EXACT_WORK, Compensated
from eie.compression.hessian import GroupedHessian, Hessian
from eie.compression.least_squares import LeastSquares, least_squares
from eie.network.graph import Array
from eie.network.operators.linear import Matrix

COMPENSATED_COLUMNS = 4096
"""Most columns that are compensated for: the effort grows with their cube."""
_NUMBERS = 3e7
"""Most rows * columns**2 of a matrix that is taken group by group: each row is given its group's Hessian."""


def by_groups(matrix: Matrix, effort: str) -> bool:
    """Tell whether a matrix is compensated group by group: its groups are small enough to be compensated exactly."""
    rows, columns = len(matrix.weight), matrix.weight.shape[1] // matrix.groups
    small = rows * columns**2 <= _NUMBERS and rows * columns**3 <= EXACT_WORK
    return matrix.groups > 1 and effort != "fast" and small


def is_compensated(matrix: Matrix, effort: str) -> bool:
    """Tell whether a matrix is not too wide to be compensated for."""
    return by_groups(matrix, effort) or matrix.weight.shape[1] <= COMPENSATED_COLUMNS


def held(matrix: Matrix, effort: str) -> NDArray[np.float32]:
    """Return a matrix's weights as its task holds them: all, or those of the groups, shape (R, C / groups)."""
    weight = matrix.blocks.reshape(len(matrix.weight), -1) if by_groups(matrix, effort) else matrix.weight
    return np.asarray(weight, np.float32)


def task_of(matrix: Matrix, given: Array, inputs: Array, importance: NDArray[np.float64], effort: str) -> LeastSquares:
    """Return the task of a matrix's weights as they are held; see `least_squares`."""
    bias = None if matrix.bias is None else np.asarray(matrix.bias, np.float32)
    if not by_groups(matrix, effort):
        return least_squares(np.asarray(matrix.weight, np.float32), bias, given, inputs, importance)
    blocks = np.asarray(matrix.blocks, np.float32)
    _, rows, columns = blocks.shape
    tasks = []
    for g, block in enumerate(blocks):
        of_rows, of_columns = slice(g * rows, (g + 1) * rows), slice(g * columns, (g + 1) * columns)
        seen = inputs[:, of_columns]
        before = seen if given is inputs else given[:, of_columns]
        tasks.append(least_squares(block, None if bias is None else bias[of_rows], before, seen, importance[of_rows]))
    return LeastSquares(
        np.concatenate([task.weight for task in tasks]),
        GroupedHessian.of([cast(Hessian, task.hessian) for task in tasks], rows),
        importance,
        np.concatenate([task.allowed for task in tasks]),
        inputs,
        np.concatenate([task.bias for task in tasks]),
    )


def spread_out(chosen: Compensated, matrix: Matrix) -> Compensated:
    """Return what was chosen for the groups of a matrix with zeros where its operator has no weights."""

    def whole(held: NDArray) -> NDArray:
        rows, columns = matrix.weight.shape
        each = np.arange(matrix.groups)
        found = np.zeros((matrix.groups, rows // matrix.groups, matrix.groups, columns // matrix.groups), held.dtype)
        found[each, :, each] = held.reshape(matrix.groups, rows // matrix.groups, -1)
        return found.reshape(rows, columns)

    if chosen.weight.shape == matrix.weight.shape:
        return chosen
    return replace(chosen, weight=whole(chosen.weight), mask=whole(chosen.mask), codes=whole(chosen.codes))
