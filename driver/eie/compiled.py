"""The emulation's inner loop, compiled by numba (extra "fast"); without it numpy does the same sums."""

from __future__ import annotations

import numba
import numpy as np

from eie.config import CODE_BITS, CODEBOOK_SIZE

_CODE_MASK = np.uint32(CODEBOOK_SIZE - 1)
_CODE_BITS = np.uint32(CODE_BITS)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def accumulate(column_starts, entries, codebook, activations, sums):  # type: ignore[no-untyped-def]
    """Add every active column's entries to the sums, in place; see `eie.tile_matrix.TileMatrix.accumulate`."""
    products = np.empty(CODEBOOK_SIZE, np.int64)
    for vector in range(activations.shape[0]):
        row = sums[vector]
        for column in range(activations.shape[1]):
            activation = activations[vector, column]
            if activation != 0:
                for code in range(CODEBOOK_SIZE):
                    products[code] = codebook[code] * activation
                for entry in entries[column_starts[column] : column_starts[column + 1]]:
                    row[entry >> _CODE_BITS] += products[entry & _CODE_MASK]
