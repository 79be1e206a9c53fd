"""The emulation's inner loop, compiled by numba (extra "fast"); without it numpy does the same sums."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def accumulate(column_starts, accumulators, codes, codebook, activations, sums):  # type: ignore[no-untyped-def]
    """Add every active column's entries to the sums, in place; see `eie.tile_matrix.TileMatrix.accumulate`."""
    for vector in range(activations.shape[0]):
        row = sums[vector]
        for column in range(activations.shape[1]):
            activation = activations[vector, column]
            if activation != 0:
                for i in range(column_starts[column], column_starts[column + 1]):
                    row[accumulators[i]] += codebook[codes[i]] * activation
