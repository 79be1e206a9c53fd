"""Exact compensation, row by row (optimal brain surgeon; Frantar and Alistarh, "Optimal Brain Compression", 2022).

Removing weight j of a row, or fixing it at another value, costs ``(change)**2 / inverse(H)[j, j]`` once the row's other
weights have made up for it as well as they can; H is that of the weights the row still has. Every row has its own
inverse, so this takes rows * columns**3 steps and rows * columns**2 numbers; `eie.compression.sweep` makes do with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import Nearest, values_of
from eie.compression.hessian import inverse_factor
from eie.compression.least_squares import LeastSquares

STEP = 0.8
"""Share of the weights that a round of pruning keeps. Closer to 1 is closer to one weight at a time: 0.9 takes half as
long again and saves 6 % of the loss (LeNet's first layer at density 0.1)."""

_PASSES = 8
_NUMBERS = 1 << 22
"""Most numbers of the inverses of rows that are shared together: 32 MB."""


@dataclass
class Row:
    """What a row still has.

    Parameters
    ----------
    columns : ndarray, shape (n,), intp
    values : ndarray, shape (n,), float64
        Best for these columns.
    inverse : ndarray, shape (n, n), float64
        Inverse of their Hessian.
    """

    columns: NDArray[np.intp]
    values: NDArray[np.float64]
    inverse: NDArray[np.float64]

    def keep(self, kept: NDArray[np.bool_]) -> float:
        """Remove the other weights, let the kept ones make up for them, and return what that costs."""
        if kept.all():
            return 0.0
        stay, go = np.flatnonzero(kept), np.flatnonzero(~kept)
        removed = np.take(self.inverse, go, axis=0)
        across = np.take(removed, stay, axis=1)
        right = np.concatenate((self.values[go, None], across), axis=1)
        solved = np.linalg.solve(np.take(removed, go, axis=1), right)
        cost = float(self.values[go] @ solved[:, 0])
        self.values = self.values[stay] - across.T @ solved[:, 0]
        self.inverse = np.take(np.take(self.inverse, stay, axis=0), stay, axis=1)
        self.inverse -= across.T @ solved[:, 1:]
        self.columns = self.columns[stay]
        return max(0.0, cost)


def prune_rows(task: LeastSquares, keep: int, step: float = STEP) -> Iterator[tuple[list[Row], float]]:
    """Remove the weights that cost least, round by round, and yield rows and loss after every round.

    The last round leaves `keep` weights of the layer, or as many as are allowed.
    """
    rows, score, loss = _allowed_rows(task)
    left = int(np.count_nonzero(score >= 0))
    yield rows, loss
    while left > keep:
        left = max(keep, int(left * step))
        threshold = np.partition(score, score.size - left, axis=None)[score.size - left]
        stay = score > threshold
        ties = np.flatnonzero(score == threshold)
        stay.reshape(-1)[ties[: left - int(np.count_nonzero(stay))]] = True
        for r, row in enumerate(rows):
            loss += float(task.importance[r]) * row.keep(stay[r, row.columns])
            score[r] = -1
            _score(row, float(task.importance[r]), score[r])
        yield rows, loss


def share_rows(
    task: LeastSquares, rows: list[Row], codebooks: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Give every weight of the rows one of the shared values, and return codes, shape (R, C), and the codebooks.

    A row's weights are fixed in turn, those first that matter most, and what is not yet fixed makes up for it.
    Then values are refitted for the codes, and codes changed one at a time where that helps, in turn.
    """
    codes = np.zeros(task.weight.shape, np.uint8)
    importance = np.broadcast_to(task.hessian.diagonal, task.weight.shape)
    find = Nearest(values_of(codebooks))
    groups = _with_one_inverse(rows)
    for alike in (group for group in groups if len(group) > 1):
        order, factor = _order_and_factor(rows[alike[0]], importance[alike[0]])
        values = np.stack([rows[r].values[order] for r in alike])
        codes[np.ix_(alike, rows[alike[0]].columns[order])] = _fix_in_turn(values, factor, find)
    for some in _of_like_sizes(rows, [group[0] for group in groups if len(group) == 1]):
        parts = [_order_and_factor(rows[r], importance[r]) for r in some]
        most = len(parts[0][0])
        values, factors = np.zeros((len(some), most)), np.tile(np.eye(most), (len(some), 1, 1))
        for i, (r, (order, factor)) in enumerate(zip(some, parts, strict=True)):
            values[i, : len(order)] = rows[r].values[order]
            factors[i, : len(order), : len(order)] = factor
        for r, (order, _), found in zip(some, parts, _fix_in_turn(values, factors, find), strict=True):
            codes[r, rows[r].columns[order]] = found[: len(order)]
    for _ in range(_PASSES):
        codebooks = task.refit(codes, codebooks)
        if not _improve(task, codes, values_of(codebooks)):
            break
    return codes, codebooks


def _allowed_rows(task: LeastSquares) -> tuple[list[Row], NDArray[np.float64], float]:
    """Return all rows with the weights they may have, a score for each weight (-1: there is none), and the loss."""
    score = np.full(task.weight.shape, -1.0)
    rows, loss = [], 0.0
    for of_part, matrix in task.hessian.parts(len(task.weight)):
        columns = np.flatnonzero(task.allowed[of_part].any(axis=0))
        factor = inverse_factor(matrix[np.ix_(columns, columns)])
        inverse = factor.T @ factor
        # Weights of columns that no row may have count as 0 from the start; the loss of that is the same for all.
        rest = task.weight[of_part]
        best = rest[:, columns]
        rest[:, columns] = 0
        best = best + (rest @ matrix[:, columns]) @ inverse
        for r, values in zip(of_part.tolist(), best, strict=True):
            row = Row(columns, values, inverse)
            loss += float(task.importance[r]) * row.keep(task.allowed[r, columns])
            _score(row, float(task.importance[r]), score[r])
            rows.append(row)
    return rows, score, loss


def _score(row: Row, importance: float, score: NDArray[np.float64]) -> None:
    score[row.columns] = importance * row.values**2 / row.inverse.diagonal()


def _with_one_inverse(rows: list[Row]) -> list[NDArray[np.intp]]:
    """Return the rows in groups that share an inverse, as those do of which nothing was removed."""
    groups: dict[int, list[int]] = {}
    for r, row in enumerate(rows):
        groups.setdefault(id(row.inverse), []).append(r)
    return [np.array(group, np.intp) for group in groups.values()]


def _of_like_sizes(rows: list[Row], some: list[int]) -> Iterator[list[int]]:
    """Yield these rows, the longest first, as many together as there is room for the inverses of."""
    some = sorted(some, key=lambda r: -len(rows[r].columns))
    while some and len(rows[some[0]].columns):
        together = max(1, _NUMBERS // len(rows[some[0]].columns) ** 2)
        yield some[:together]
        some = some[together:]


def _order_and_factor(row: Row, importance: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Return the order in which a row's weights are fixed, those that matter most first, and its `inverse_factor`."""
    order = np.argsort(-importance[row.columns], kind="stable")
    if not len(order):
        return order, row.inverse
    factor: NDArray[np.floating] = np.linalg.cholesky(np.take(np.take(row.inverse, order, axis=0), order, axis=1)).T
    return order, factor


def _fix_in_turn(values: NDArray[np.float64], factor: NDArray[np.floating], find: Nearest) -> NDArray[np.uint8]:
    """Round values of rows, shape (n, C), in turn to shared ones; `factor` as of `inverse_factor`, for all or each."""
    codes = np.zeros(values.shape, np.uint8)
    for j in range(values.shape[1]):
        codes[:, j] = find(values[:, j])
        errors = (values[:, j] - find.table[codes[:, j]]) / factor[..., j, j]
        values[:, j:] -= errors[:, None] * factor[..., j, j:]
    return codes


def _improve(task: LeastSquares, codes: NDArray[np.uint8], centroids: NDArray[np.float64]) -> bool:
    """Change codes, a column at a time, where another value lowers the loss; return whether any did."""
    weight, find = centroids[codes], Nearest(centroids)
    gradient = task.hessian.times(weight - task.weight)
    curvature = np.broadcast_to(task.hessian.diagonal, weight.shape)
    changed = False
    for j in range(weight.shape[1]):
        rows = np.flatnonzero(codes[:, j])
        best = weight[rows, j] - gradient[rows, j] / curvature[rows, j]
        nearest = find(best)
        step = centroids[nearest] - weight[rows, j]
        moves = nearest != codes[rows, j]
        if moves.any():
            changed = True
            rows, step, nearest = rows[moves], step[moves], nearest[moves]
            gradient[rows] += step[:, None] * task.hessian.column(j, rows)
            weight[rows, j] += step
            codes[rows, j] = nearest
    return changed
