"""Relative-index encoding: a block of rows as entries of (4-bit code, zeros skipped), by PE and column.

Row r belongs to PE r mod N as local row r // N (paper, section III-C). Each PE's column is a run of entries in
ascending local row; an entry's relative index counts the zero rows since the entry before it, or since the top of
the block. A gap that the index cannot hold takes padding entries of code 0 (paper, section III-B).

Where the pointers carry the first row, a run may begin anywhere: rows count modulo the accumulators, so it may go
round past the last row to the first. Beginning behind the widest gap saves that gap's padding. With indices one bit
narrower than rows no padding is left at all, for only one gap of a circle can be wider than half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, ArrayConfig


@dataclass(frozen=True)
class EncodedRows:
    """The entries of a block of rows.

    Parameters
    ----------
    entries : ndarray, shape (total,), uint16
        ``code | relative index << 4``, PE by PE, column by column.
    starts : ndarray, shape (N, columns + 1), intp
        Position in `entries` of each PE's columns; the last is the end of the PE's entries.
    first_rows : ndarray, shape (N, columns), uint16
        Local row of each column's first entry; all zero unless the pointers carry it.
    """

    entries: NDArray[np.uint16]
    starts: NDArray[np.intp]
    first_rows: NDArray[np.uint16]

    @property
    def padding(self) -> int:
        """Padding entries."""
        return int(self.padding_before[-1])

    @cached_property
    def padding_before(self) -> NDArray[np.int32]:
        """Padding entries before each position, shape (total + 1,)."""
        before = np.zeros(len(self.entries) + 1, np.int32)
        np.cumsum(self.entries & (CODEBOOK_SIZE - 1) == 0, out=before[1:])
        return before


def encode_rows(
    column_starts: NDArray[np.intp], rows: NDArray[np.integer], codes: NDArray[np.uint8], config: ArrayConfig
) -> EncodedRows:
    """Encode a block of rows.

    Parameters
    ----------
    column_starts : ndarray, shape (C + 1,)
    rows : ndarray, shape (nnz,)
        Row in the block of each non-zero, ascending in each column.
    codes : ndarray, shape (nnz,), uint8
        1 to 15.
    config : ArrayConfig
    """
    num_pes, columns = config.num_pes, len(column_starts) - 1
    pe = (rows % num_pes).astype(np.uint8)
    # A stable sort of bytes is a radix sort; it leaves (column, row) order within each PE.
    order = np.argsort(pe, kind="stable")
    column = np.repeat(np.arange(columns), np.diff(column_starts))[order]
    run = pe[order].astype(np.intp) * columns + column
    local = (rows // num_pes).astype(np.intp)[order]

    begins = np.ones(len(run), bool)
    begins[1:] = run[1:] != run[:-1]
    if config.first_row:
        turned = _turn(local, np.flatnonzero(begins), config)
        order, local = order[turned], local[turned]
    previous = np.empty_like(local)
    previous[1:] = local[:-1]
    previous[begins] = local[begins] - 1 if config.first_row else -1
    gap = (local - previous - 1) % config.rows if config.first_row else local - previous - 1

    length = (gap >> config.index_bits) + 1
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    entries = np.full(total, config.max_gap << CODE_BITS, np.uint16)
    entries[ends - 1] = codes[order] | (gap & config.max_gap) << CODE_BITS

    per_run = np.bincount(run, weights=length, minlength=num_pes * columns).astype(np.intp)
    positions = np.zeros(num_pes * columns + 1, np.intp)
    np.cumsum(per_run, out=positions[1:])
    starts = np.empty((num_pes, columns + 1), np.intp)
    starts[:, :-1] = positions[:-1].reshape(num_pes, columns)
    starts[:, -1] = positions[columns::columns]

    first_rows = np.zeros(num_pes * columns, np.uint16)
    if config.first_row:
        first_rows[run[begins]] = local[begins]
    return EncodedRows(entries, starts, first_rows.reshape(num_pes, columns))


def _turn(local: NDArray[np.intp], begins: NDArray[np.intp], config: ArrayConfig) -> NDArray[np.intp]:
    """Return the order of entries in which every run that needs padding begins behind its widest gap."""
    order = np.arange(len(local))
    if not len(local):
        return order
    lengths = np.diff(np.append(begins, len(local)))
    gap = np.empty_like(local)
    gap[1:] = local[1:] - local[:-1] - 1
    gap[begins] = local[begins] + config.rows - local[begins + lengths - 1] - 1
    inner = gap.copy()
    inner[begins] = 0
    runs = np.flatnonzero(np.maximum.reduceat(inner, begins) > config.max_gap)
    if not len(runs):
        return order
    begins, lengths = begins[runs], lengths[runs]
    # All entries of those runs: each one's run, and its position there.
    which = np.repeat(np.arange(len(runs)), lengths)
    position = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    entry = begins[which] + position
    widest = np.maximum.reduceat(gap[entry], np.cumsum(lengths) - lengths)
    is_widest = gap[entry] == widest[which]
    first = np.zeros(len(runs), np.intp)
    first[which[is_widest][::-1]] = position[is_widest][::-1]
    order[begins[which] + (position - first[which]) % lengths[which]] = entry
    return order
