"""The emulation's inner loops, compiled by numba (extra "fast"); without it numpy does the same sums."""

from __future__ import annotations

import numpy as np

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE
from eie.devices.emulation.just_in_time import compiled

TOGETHER = 32
"""Vectors that share one pass over the entries: their sums of a small tile stay in the cache."""

_CODE_MASK = np.uint32(CODEBOOK_SIZE - 1)
_CODE_BITS = np.uint32(CODE_BITS)
_TOGETHER = np.uint64(TOGETHER)


def _accumulate(column_starts, entries, codebook, activations, sums):  # type: ignore[no-untyped-def]
    """Add every active column's entries to the sums, in place, vector by vector; codebook int64."""
    for vector in range(activations.shape[0]):
        row = sums[vector]
        for column in range(activations.shape[1]):
            activation = np.int64(activations[vector, column])
            if activation != 0:
                # An unsigned index needs no check for counting from the end; a slice costs more than a short column.
                for i in range(np.uint64(column_starts[column]), np.uint64(column_starts[column + 1])):
                    entry = entries[i]
                    row[entry >> _CODE_BITS] += codebook[entry & _CODE_MASK] * activation


def _accumulate_together(column_starts, entries, codebook, activations, room, sums):  # type: ignore[no-untyped-def]
    """Do the same entry by entry, many vectors at a time: codebook float64, which processors have vectors of.

    `room`, float64, shape (size, TOGETHER), is for the sums of a pass.
    """
    batch, size = activations.shape[0], room.shape[0]
    totals = room.reshape(-1)
    values = np.empty(TOGETHER)
    for first in range(0, batch, TOGETHER):
        count = min(TOGETHER, batch - first)
        totals[:] = 0
        for column in range(activations.shape[1]):
            begin, end = np.uint64(column_starts[column]), np.uint64(column_starts[column + 1])
            if begin == end:
                continue
            active = False
            for vector in range(count):
                activation = activations[first + vector, column]
                active |= activation != 0
                values[vector] = activation
            if not active:
                continue
            for i in range(begin, end):
                entry = entries[i]
                weight = codebook[entry & _CODE_MASK]
                place = np.uint64(entry >> _CODE_BITS) * _TOGETHER
                for vector in range(count):
                    totals[place + np.uint64(vector)] += weight * values[vector]
        for vector in range(count):
            for accumulator in range(size):
                sums[first + vector, accumulator] += np.int64(totals[accumulator * TOGETHER + vector])


accumulate = compiled(_accumulate, nogil=True)
accumulate_together = compiled(_accumulate_together, nogil=True)
