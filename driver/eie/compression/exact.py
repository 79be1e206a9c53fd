"""Networks that are quantised already: their own integers on the array, nothing rounded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODEBOOK_SIZE
from eie.contract.fixed_point import ACTIVATION_MAX
from eie.errors import LayerError
from eie.network.graph_model import ArrayProduct
from eie.network.model import Layer, Model
from eie.network.operators.linear import Matrix
from eie.network.quantised import Grid, Stage, integer_rows
from eie.network.term import Term
from eie.network.thresholds import affine_thresholds, integer_stage, reachable_sums

PARTS_LIMIT = 64
"""Most rows that an output is split into."""


def exact_product(matrix: Matrix, grid: Grid, name: str) -> ArrayProduct | None:
    """Return the product in a quantised network's own integers, or None if they do not fit a codebook.

    The array's outputs are the integer sums, not shifted. Where a row's sum could leave int16, its columns are split
    among several rows, each of which cannot; the host adds what they give.

    Parameters
    ----------
    matrix : Matrix
    grid : Grid
        The data's integers and their scale.
    name : str
    """
    found = integer_rows(matrix.weight)
    if found is None:
        return None
    integers, scales = found
    if not _few(integers):
        return None
    parts = _parts(np.abs(integers) * max(-grid.low, grid.high))
    if parts is None:
        return None
    rows, columns = integers.shape
    split = np.zeros((rows, parts, columns), np.int64)
    for part, span in enumerate(np.array_split(np.arange(columns), parts)):
        split[:, part, span] = integers[:, span]
    layer = Layer.from_dense_codes(*_coded(split.reshape(rows * parts, columns)), name=name)
    offsets = None if matrix.bias is None else np.asarray(matrix.bias, np.float64)
    return ArrayProduct(Model([layer], name), grid.scale, scales * grid.scale, parts, offsets)


def staged_product(
    matrix: Matrix, grid: Grid, stage: Stage, terms: int, name: str
) -> tuple[ArrayProduct, float] | None:
    """Return a product in a quantised network's own integers that puts out the integers of the stage behind it.

    Each row has its own scale. Returned is also the share of the reachable sums, next to where a row's integer steps,
    at which it is one less or more: 0 where all are proved equal. None if there are more weights than so many terms
    hold, or no room.

    Parameters
    ----------
    matrix : Matrix
    grid : Grid
        The data's integers and their scale.
    stage : Stage
    terms : int
    name : str
    """
    found = integer_rows(matrix.weight)
    if found is None:
        return None
    integers, scales = found
    split = [integers] if _few(integers) else digits(integers) if terms > 1 else None
    if split is None:
        return None
    bias = np.zeros(len(integers)) if matrix.bias is None else np.asarray(matrix.bias, np.float64)
    gain = scales * grid.scale * stage.gain / stage.grid.scale
    offset = (bias * stage.gain + stage.offset) / stage.grid.scale
    low, high = stage.grid.low, stage.grid.high
    if not gain.all():
        return None
    largest = max(int(np.abs(part).max(initial=1)) for part in split)
    sums = reachable_sums(integers, grid.low, grid.high)
    try:
        made = integer_stage(
            affine_thresholds(gain, offset, low, high),
            sums,
            largest,
            low,
            gain < 0,
            tries=_TRIES if high - low < CODEBOOK_SIZE else _FEW_TRIES,
        )
    except LayerError:
        return None
    unequal = sum(last - first + 1 for _, first, last in made.exceptions) / int(np.diff(sums).sum() + len(sums))
    first, *others = (_coded(part * made.factor) for part in split)
    second = Term.from_dense_codes(*others[0]) if others and others[0][0].any() else None
    layer = Layer.from_dense_codes(*first, made.bias, made.shift, name=name, scaling=made.scaling, second=second)
    return ArrayProduct(Model([layer], name), grid.scale, np.full(len(integers), stage.grid.scale)), unequal


_TRIES, _FEW_TRIES = 32, 2
"""Grids for the thresholds that are tried: with 255 of them hardly any is exact for all rows."""
_DIGIT = CODEBOOK_SIZE
"""A weight is a multiple of this and a rest."""


def digits(integers: NDArray[np.int64]) -> list[NDArray[np.int64]] | None:
    """Return integers as sums of two, of at most 15 values each beside 0, with as many zeros as may be; or None.

    Any 8-bit weight is one: a multiple of 16 and a rest, from 0 to 15 or from less on.
    """
    best: list[NDArray[np.int64]] | None = None
    for least in range(1 - _DIGIT, 1):
        rest = (integers - least) % _DIGIT + least
        split = [integers - rest, rest]
        fewer = best is None or sum(map(np.count_nonzero, split)) < sum(map(np.count_nonzero, best))
        if fewer and all(map(_few, split)):
            best = split
    return best


def _few(integers: NDArray[np.int64]) -> bool:
    """Tell whether a codebook holds all values."""
    return len(np.unique(integers[integers != 0])) < CODEBOOK_SIZE


def _coded(integers: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Return integers of few values as codes and their codebook."""
    values = np.unique(integers[integers != 0])
    codebook = np.zeros(CODEBOOK_SIZE, np.int16)
    codebook[1 : len(values) + 1] = values
    return np.where(integers == 0, 0, np.searchsorted(values, integers) + 1).astype(np.uint8), codebook


def _parts(magnitudes: np.ndarray) -> int | None:  # type: ignore[type-arg]
    """Return in how many parts columns are split so that no row's sum can leave int16 in any of them."""
    columns = magnitudes.shape[1]
    for parts in range(1, min(PARTS_LIMIT, columns) + 1):
        if all(span.sum(axis=1).max(initial=0) <= ACTIVATION_MAX for span in np.array_split(magnitudes, parts, axis=1)):
            return parts
    return None
