"""A tile whose pointers give its columns far more entries than there are: columns are not decoded one by one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, ArrayConfig
from eie.devices.emulation.tile_matrix import read_entries

_SUMS = 1 << 17
"""Sums kept at a time: they stay in the cache."""
_SIGNS = np.array([[-1], [1], [1]])


@dataclass(eq=False)
class OverlappingTile:
    """Columns that share entries: what `TileMatrix` gives, in a time that does not grow with the columns' lengths.

    A column is a run of entries. What it adds up to is what the memory adds up to from its first entry to the run's
    end, less what it does to the run's begin; the row at which a run begins moves all of its sums by as much.

    Parameters
    ----------
    begin, end : ndarray, shape (columns, N), uint32
        Pointer words of each column, and of the one behind it.
    words : ndarray, shape (N, entry_words, beat_bytes), uint8
        Sparse-matrix memory of a bank, as loaded.
    config : ArrayConfig
    """

    begin: NDArray[np.uint32]
    end: NDArray[np.uint32]
    words: NDArray[np.uint8]
    config: ArrayConfig
    broadcasts: NDArray[np.int64] = field(init=False)
    """How often each column was broadcast; the device adds to it."""

    def __post_init__(self) -> None:
        self.broadcasts = np.zeros(len(self.begin), np.int64)

    @property
    def size(self) -> int:
        """Accumulators that the tile may reach: all."""
        return self.config.rows * self.config.num_pes

    def take_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the work and padding entries of each PE, shape (N,), of all broadcasts so far, and forget these."""
        work, entries = np.zeros((2, self.config.num_pes), np.int64)
        for pe in range(self.config.num_pes):
            codes, rows = self._memory(pe)
            real = np.concatenate(([0], np.cumsum(codes != 0)))
            ends, _ = self._ends(pe, rows)
            work[pe] = (_SIGNS * real[ends]).sum(axis=0) @ self.broadcasts
            entries[pe] = (_SIGNS * ends).sum(axis=0) @ self.broadcasts
        self.broadcasts[:] = 0
        return work, entries - work

    def accumulate(self, activations: NDArray[np.int16], codebook: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Add the products of a batch, int16, shape (B, columns), to its accumulators, shape (B, size or more)."""
        factors = (_SIGNS * activations.astype(np.int64)[:, None, :]).reshape(len(activations), -1)
        for pe in range(self.config.num_pes):
            codes, rows = self._memory(pe)
            ends, moves = self._ends(pe, rows)
            products = self._products(codebook[codes], rows, ends.ravel(), moves.ravel(), factors)
            sums[:, pe : self.size : self.config.num_pes] += products

    def _memory(self, pe: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the code of each entry, and the row behind it counted from the memory's first, from 0 on."""
        positions = np.arange(self.config.entries)
        values = read_entries(self.words, np.full_like(positions, pe), positions, self.config)
        return values & (CODEBOOK_SIZE - 1), np.concatenate(([0], np.cumsum((values >> CODE_BITS) + 1)))

    def _ends(self, pe: int, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the begin of each run, its end, and its end behind the memory's, from where it goes on at the first
        entry, shape (3, columns); and by how many rows the sums to there are moved."""
        config = self.config
        words = self.begin[:, pe]
        begin = words.astype(np.intp) % config.entries
        end = begin + (self.end[:, pe].astype(np.intp) - begin) % config.entries
        moves = -rows[begin]
        if config.first_row:
            moves += (words >> np.uint32(config.start_bits)).astype(np.intp)
        ends = np.stack([begin, np.minimum(end, config.entries), np.maximum(end - config.entries, 0)])
        return ends, np.stack([moves, moves, moves + rows[-1]]) % config.rows

    def _products(
        self,
        weights: NDArray[np.int16],
        rows: NDArray[np.intp],
        ends: NDArray[np.intp],
        moves: NDArray[np.intp],
        factors: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return the sums of a PE, shape (B, rows): those up to each end, times its factor in each vector."""
        count = self.config.rows
        order = np.argsort(ends, kind="stable")
        # Entries before an end are in its sums, and in those of the ends behind it.
        first_end = np.searchsorted(ends[order], np.arange(len(weights)), side="right")
        places = first_end * count + (rows[1:] - 1) % count
        products = np.zeros((len(factors), count), np.int64)
        before = np.zeros(count)
        step = max(1, _SUMS // count)
        for first in range(0, len(order), step):
            part = order[first : first + step]
            entries = slice(*np.searchsorted(first_end, (first, first + len(part))))
            # At most 2**16 weights of 16 bits: float64 adds them up exactly.
            cells = np.bincount(places[entries] - first * count, weights[entries], len(part) * count)
            added = cells.reshape(len(part), count).astype(np.float64, copy=False)
            added[0] += before
            sums = np.cumsum(added, axis=0)
            before = sums[-1].copy()
            moved = (np.arange(count) - moves[part, None]) % count
            products += factors[:, part] @ np.take_along_axis(sums, moved, axis=1).astype(np.int64)
        return products
