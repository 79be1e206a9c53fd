"""A tile as the array sees it, decoded from the on-chip memories, and its product with a batch of activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, WEIGHT_BITS, ArrayConfig

# From this batch on, a product with a dense matrix of at most this size beats adding up the entries of active columns.
_DENSE_BATCH = 6
_DENSE_BYTES = 32 << 20
# A larger one is made block by block, each small enough for the cache, which takes a larger batch to pay.
_BLOCK_BATCH = 16
_BLOCK_BYTES = 4 << 20
# Entries added up at a time: the intermediate arrays stay in the cache.
_SPARSE_ENTRIES = 1 << 16
_EXACT_ENTRIES = 1 << 23
_EXACT_COLUMNS = _EXACT_ENTRIES >> 16
"""A PE has at most 2**16 entries of a column."""


@dataclass(eq=False)
class TileMatrix:
    """The entries of a tile, column by column over all PEs.

    Parameters
    ----------
    column_starts : ndarray, shape (columns + 1,), intp
    entries : ndarray, shape (entries,), uint32
        ``accumulator << 4 | code`` of each entry with a non-zero code; an accumulator is ``local row * N + PE``.
    work, padding : ndarray, shape (columns, N), int32
        Entries of each PE with and without a weight.
    size : int
        Accumulators that the tile reaches: its highest local row + 1, times N.
    """

    column_starts: NDArray[np.intp]
    entries: NDArray[np.uint32]
    work: NDArray[np.int32]
    padding: NDArray[np.int32]
    size: int
    broadcasts: NDArray[np.int64] = field(init=False, repr=False)
    """How often each column was broadcast; the device adds to it."""
    _kept: _Decoded | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.broadcasts = np.zeros(len(self.column_starts) - 1, np.int64)

    def take_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the work and padding entries of each PE, shape (N,), of all broadcasts so far, and forget these."""
        counts = self.broadcasts @ self.work, self.broadcasts @ self.padding
        self.broadcasts[:] = 0
        return counts

    def accumulate(self, activations: NDArray[np.int16], codebook: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Add the products of a batch, int16, shape (B, columns), to its accumulators, shape (B, size or more).

        A product has at most 30 bits, so float64 adds up 2**23 exactly; where the ranges of pointers overlap there may
        be more, which are added up in parts.
        """
        kernel = compiled_kernel()
        if kernel is not None:
            kernel(self.column_starts, self.entries, codebook.astype(np.int64), activations, sums)
            return
        decoded = self._decode(codebook)
        if len(self.entries) > _EXACT_ENTRIES:
            for a, row in zip(activations, sums, strict=True):
                row[: self.size] += self._sparse_product(a, decoded)
            return
        if decoded.dense is not None and len(activations) >= _DENSE_BATCH:
            products = activations.astype(np.float64) @ decoded.dense
        elif len(activations) >= _BLOCK_BATCH:
            products = self._block_product(activations, decoded)
        else:
            products = np.stack([self._sparse_product(a, decoded) for a in activations])
        sums[:, : self.size] += products.astype(np.int64)

    def _decode(self, codebook: NDArray[np.int16]) -> _Decoded:
        """Look up the codebook once, for numpy to work with weights and plain indices."""
        key = codebook.tobytes()
        if self._kept is None or self._kept.codebook != key:
            weights = codebook[self.entries & (CODEBOOK_SIZE - 1)]
            accumulators = (self.entries >> CODE_BITS).astype(np.int64)
            decoded = _Decoded(key, accumulators << WEIGHT_BITS | weights.view(np.uint16), self.column_starts)
            columns = len(self.column_starts) - 1
            if columns * self.size * np.dtype(np.float64).itemsize <= _DENSE_BYTES:
                decoded = replace(decoded, dense=self._dense(decoded, 0, columns))
            self._kept = decoded
        return self._kept

    def _dense(self, decoded: _Decoded, first: int, last: int) -> NDArray[np.float64]:
        """Return columns first to last - 1 as a dense matrix, shape (columns, size)."""
        starts = self.column_starts[first : last + 1]
        span = slice(starts[0], starts[-1])
        begin = np.repeat(np.arange(last - first) * self.size, np.diff(starts))
        # A row address may wrap, so an accumulator can have several entries in a column: add, don't assign.
        weights = _weights(decoded.entries[span]).astype(np.float64)
        places = begin + (decoded.entries[span] >> WEIGHT_BITS).astype(np.intp, copy=False)
        flat = np.bincount(places, weights=weights, minlength=(last - first) * self.size)
        return np.asarray(flat, np.float64).reshape(last - first, self.size)

    def _block_product(self, activations: NDArray[np.int16], decoded: _Decoded) -> NDArray[np.float64]:
        columns = len(self.column_starts) - 1
        step = max(1, _BLOCK_BYTES // (self.size * np.dtype(np.float64).itemsize))
        sums = np.zeros((len(activations), self.size))
        for first in range(0, columns, step):
            last = min(first + step, columns)
            sums += activations[:, first:last].astype(np.float64) @ self._dense(decoded, first, last)
        return sums

    def _sparse_product(self, activations: NDArray[np.int16], decoded: _Decoded) -> NDArray[np.int64]:
        active = np.flatnonzero(activations)
        columns = [decoded.columns[column] for column in active.tolist()]
        counts, values = np.diff(self.column_starts)[active], activations[active].astype(np.float64)
        step = max(1, min(_EXACT_COLUMNS, _SPARSE_ENTRIES * len(columns) // max(1, int(counts.sum()))))
        sums = np.zeros(self.size, np.int64)
        for first in range(0, len(columns), step):
            part = slice(first, first + step)
            entries = np.concatenate(columns[part])
            products = np.repeat(values[part], counts[part])
            products *= _weights(entries)
            entries >>= WEIGHT_BITS
            sums += np.bincount(entries.astype(np.intp, copy=False), weights=products, minlength=self.size).astype(
                np.int64
            )
        return sums


@dataclass(frozen=True)
class _Decoded:
    """A tile with one codebook looked up.

    An entry is ``accumulator << 16 | weight``, in two's complement. `dense`, shape (columns, size), is there only
    where it is small.
    """

    codebook: bytes
    entries: NDArray[np.int64]
    column_starts: NDArray[np.intp]
    dense: NDArray[np.float64] | None = None

    @cached_property
    def columns(self) -> list[NDArray[np.int64]]:
        """The entries of each column: cutting them out once takes as long as a product does."""
        return np.split(self.entries, self.column_starts[1:-1])


def _weights(entries: NDArray[np.int64]) -> NDArray[np.int16]:
    return entries.astype(np.int16)


def run_lengths(pointers: NDArray[np.uint32], config: ArrayConfig) -> NDArray[np.intp]:
    """Return how many entries each PE has of each column: pointer words, shape (columns + 1, N) -> (columns, N)."""
    addresses = (pointers & np.uint32(config.entries - 1)).astype(np.intp)
    return (addresses[1:] - addresses[:-1]) % config.entries


def decode_columns(
    begin: NDArray[np.uint32], end: NDArray[np.uint32], words: NDArray[np.uint8], config: ArrayConfig
) -> TileMatrix:
    """Decode columns.

    Parameters
    ----------
    begin, end : ndarray, shape (columns, N), uint32
        Pointer words of each column, and of the one behind it.
    words : ndarray, shape (N, entry_words, beat_bytes), uint8
        Sparse-matrix memory of a bank, as loaded.
    config : ArrayConfig
    """
    columns = len(begin)
    mask = np.uint32(config.entries - 1)
    addresses = (begin & mask).astype(np.intp)
    lengths = (((end & mask).astype(np.intp) - addresses) % config.entries).ravel()
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    begins = ends - lengths
    run = np.repeat(np.arange(columns * config.num_pes), lengths)
    pe = run % config.num_pes

    position = (addresses.ravel()[run] + np.arange(total) - begins[run]) % config.entries
    values = read_entries(words, pe, position, config)
    codes = values & (CODEBOOK_SIZE - 1)

    # Local row: the entries' steps added up over each run, from the first row or the top.
    steps = np.concatenate(([0], np.cumsum((values >> CODE_BITS) + 1)))
    local = steps[1:] - steps[begins][run] - 1
    if config.first_row:
        local += (begin.ravel() >> np.uint32(config.start_bits)).astype(np.intp)[run]
    local %= config.rows

    real = codes != 0
    per_run = np.bincount(run[real], minlength=columns * config.num_pes).reshape(columns, config.num_pes)
    starts = np.zeros(columns + 1, np.intp)
    np.cumsum(per_run.sum(axis=1), out=starts[1:])
    accumulators = local * config.num_pes + pe
    return TileMatrix(
        column_starts=starts,
        entries=(accumulators << CODE_BITS | codes)[real].astype(np.uint32),
        work=per_run.astype(np.int32),
        padding=(lengths.reshape(per_run.shape) - per_run).astype(np.int32),
        size=(int(local.max()) + 1 if total else 1) * config.num_pes,
    )


def read_entries(
    words: NDArray[np.uint8], pe: NDArray[np.intp], position: NDArray[np.intp], config: ArrayConfig
) -> NDArray[np.intp]:
    """Pick entries out of the words of PEs: the bytes that hold one, shifted and masked."""
    word, entry = np.divmod(position, config.entries_per_word)
    byte, shift = np.divmod(entry * config.entry_bits, 8)
    flat = words.reshape(-1)
    first = (pe * config.entry_words + word) * config.beat_bytes + byte
    values = flat[first].astype(np.intp)
    for more in range(1, (7 + config.entry_bits + 7) // 8):
        # Beyond the end of a word there is nothing of the entry: the mask drops what is read there.
        values |= flat[np.minimum(first + more, flat.size - 1)].astype(np.intp) << (8 * more)
    return values >> shift & ((1 << config.entry_bits) - 1)


_compiled: list[Callable[..., Any] | None] = []


def compiled_kernel() -> Callable[..., Any] | None:
    """Return the loop over entries compiled by numba (extra "fast"), or None where numba is not installed."""
    if not _compiled:
        try:
            from eie.devices.emulation.compiled import accumulate
        except ImportError:
            _compiled.append(None)
        else:
            _compiled.append(accumulate)
    return _compiled[0]
