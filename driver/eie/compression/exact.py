"""Networks that are quantised already: their own integers on the array, nothing rounded."""

from __future__ import annotations

import numpy as np

from eie.contract.config import CODEBOOK_SIZE
from eie.contract.fixed_point import ACTIVATION_MAX
from eie.network.graph_model import ArrayProduct
from eie.network.model import Layer, Model
from eie.network.operators.linear import Matrix
from eie.network.quantised import Grid, integer_rows

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
    values = np.unique(integers[integers != 0])
    if len(values) >= CODEBOOK_SIZE:
        return None
    parts = _parts(np.abs(integers) * max(-grid.low, grid.high))
    if parts is None:
        return None
    rows, columns = integers.shape
    split = np.zeros((rows, parts, columns), np.int64)
    for part, span in enumerate(np.array_split(np.arange(columns), parts)):
        split[:, part, span] = integers[:, span]
    codebook = np.zeros(CODEBOOK_SIZE, np.int16)
    codebook[1 : len(values) + 1] = values
    codes = np.where(split == 0, 0, np.searchsorted(values, split) + 1).astype(np.uint8)
    layer = Layer.from_dense_codes(codes.reshape(rows * parts, columns), codebook, name=name)
    offsets = None if matrix.bias is None else np.asarray(matrix.bias, np.float64)
    return ArrayProduct(Model([layer], name), grid.scale, scales * grid.scale, parts, offsets)


def _parts(magnitudes: np.ndarray) -> int | None:  # type: ignore[type-arg]
    """Return in how many parts columns are split so that no row's sum can leave int16 in any of them."""
    columns = magnitudes.shape[1]
    for parts in range(1, min(PARTS_LIMIT, columns) + 1):
        if all(span.sum(axis=1).max(initial=0) <= ACTIVATION_MAX for span in np.array_split(magnitudes, parts, axis=1)):
            return parts
    return None
