"""The best arrays for a board: those that no other one beats in both time and resources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.boards.board import Board
from eie.boards.fpga import device_of
from eie.boards.memory_port import supply, with_stream
from eie.contract.config import WORD_BYTES

LIMITS = {
    "luts": "LUTs",
    "slicem_luts": "LUTs as memory",
    "ramb36": "block RAM",
    "dsps": "DSP slices",
    "flip_flops": "flip-flops",
    "ultra_rams": "UltraRAM",
}
"""Resources that a board limits, and what they are called."""


def time_us(row: dict[str, Any], board: Board, loading: bool = False) -> float:
    """Return the microseconds of an inference's COMPUTEs at the clock of a board; with `loading`, those in which its
    memory brings what travels with an inference (`eie.boards.memory_port`), if they are more."""
    cycles = row["cycles"]
    if loading:
        brought = supply(with_stream(board, row["stream_bits"]))
        cycles = max(cycles, row["stream_words"] * WORD_BYTES / brought.bytes_per_cycle)
    return cycles / row["inferences"] / board.clock_mhz


def limit_of(row: dict[str, Any], board: Board) -> tuple[str, float]:
    """Return the resource of which an array takes the largest share of a board's, and that share: above 1 it is too
    large."""
    limits = device_of(board.part).limits
    shares = {name: _share(row[name], limits[name]) for name in LIMITS}
    name = max(shares, key=lambda n: shares[n])
    return name, shares[name]


def _share(taken: float, limit: float) -> float:
    return taken / limit if limit else np.inf if taken else 0.0


def pareto_front(rows: Sequence[dict[str, Any]], board: Board, loading: bool = False) -> list[dict[str, Any]]:
    """Return the rows that fit a board and that no other such row beats in both `time_us` and `limit_of`'s share, the
    smallest first; of those that are equal in both, the first."""
    fitting = [row for row in rows if board.name in row["fits"].split()]
    costs = [(limit_of(row, board)[1], time_us(row, board, loading)) for row in fitting]
    best: dict[tuple[float, float], dict[str, Any]] = {}
    for index in np.flatnonzero(not_dominated(np.reshape(costs, (-1, 2)))):
        best.setdefault(costs[index], fitting[index])
    return [best[cost] for cost in sorted(best)]


def not_dominated(costs: ArrayLike) -> NDArray[np.bool_]:
    """Return which points no other point is at most equal to in both costs and below in one.

    Parameters
    ----------
    costs : array_like, shape (points, 2)

    Returns
    -------
    ndarray, shape (points,), bool
    """
    points = np.asarray(costs, np.float64).reshape(-1, 2)
    order = np.lexsort((points[:, 1], points[:, 0]))
    kept = np.zeros(len(points), bool)
    best, before = np.inf, None
    for index in order:
        point = tuple(points[index])
        # By the first cost, so only a lower second one is not dominated; but equal points share their fate.
        if point[1] < best:
            best, before = point[1], point
            kept[index] = True
        elif point == before:
            kept[index] = True
    return kept
