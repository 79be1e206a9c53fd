"""The emulation's inner loop, compiled by numba (extra "fast"); without it numpy does the same sums."""

from __future__ import annotations

import numpy as np

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE
from eie.devices.emulation.just_in_time import compiled

_CODE_MASK = np.uint32(CODEBOOK_SIZE - 1)
_CODE_BITS = np.uint32(CODE_BITS)


def _accumulate(column_starts, entries, codebook, activations, sums):  # type: ignore[no-untyped-def]
    """Add every active column's entries to the sums, in place; see `TileMatrix.accumulate`."""
    for vector in range(activations.shape[0]):
        row = sums[vector]
        for column in range(activations.shape[1]):
            activation = np.int64(activations[vector, column])
            if activation != 0:
                # An unsigned index needs no check for counting from the end; a slice costs more than a short column.
                for i in range(np.uint64(column_starts[column]), np.uint64(column_starts[column + 1])):
                    entry = entries[i]
                    row[entry >> _CODE_BITS] += codebook[entry & _CODE_MASK] * activation


accumulate = compiled(_accumulate, nogil=True)
