"""A tile as the array sees it, decoded from the on-chip memories, and its product with a batch of activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.config import CODE_BITS, CODEBOOK_SIZE, ArrayConfig

# Below this many vectors, adding up the entries of active columns beats a dense product.
_DENSE_BATCH = 6
# Dense blocks are decoded to float64; small ones are kept.
_KEEP_BYTES = 8 << 20
_BLOCK_BYTES = 16 << 20


@dataclass(eq=False)
class TileMatrix:
    """The entries of a tile, column by column over all PEs.

    Parameters
    ----------
    column_starts : ndarray, shape (columns + 1,), int64
    accumulators : ndarray, shape (entries,), int64
        ``local row * N + PE`` of each entry with a non-zero code.
    codes : ndarray, shape (entries,), uint8
        1 to 15.
    work, padding : ndarray, shape (columns, N), float64
        Entries of each PE with and without a weight (exact integers; float64 for a fast product).
    size : int
        Accumulators that the tile reaches: its highest local row + 1, times N.
    """

    column_starts: NDArray[np.int64]
    accumulators: NDArray[np.int64]
    codes: NDArray[np.uint8]
    work: NDArray[np.float64]
    padding: NDArray[np.float64]
    size: int
    _kept: tuple[bytes, NDArray[np.float64]] | None = field(default=None, repr=False)

    def accumulate(self, activations: NDArray[np.int16], codebook: NDArray[np.int16]) -> NDArray[np.int64]:
        """Return the exact sums of a batch: int16, shape (B, columns) -> int64, shape (B, size).

        A bank has at most 2**16 entries per PE and a product at most 30 bits, so float64 adds up exactly.
        """
        kernel = compiled_kernel()
        if kernel is not None:
            sums = np.zeros((len(activations), self.size), np.int64)
            kernel(self.column_starts, self.accumulators, self.codes, codebook.astype(np.int64), activations, sums)
            return sums
        if len(activations) >= _DENSE_BATCH:
            return self._dense_product(activations.astype(np.float64), codebook)
        return np.stack([self._sparse_product(a, codebook) for a in activations])

    def _sparse_product(self, activations: NDArray[np.int16], codebook: NDArray[np.int16]) -> NDArray[np.int64]:
        active = np.flatnonzero(activations)
        starts, ends = self.column_starts[active], self.column_starts[active + 1]
        if not (ends > starts).any():
            return np.zeros(self.size, np.int64)
        spans = [slice(s, e) for s, e in zip(starts.tolist(), ends.tolist(), strict=True)]
        weights = codebook.astype(np.float64)[np.concatenate([self.codes[span] for span in spans])]
        weights *= np.repeat(activations[active].astype(np.float64), ends - starts)
        accumulators = np.concatenate([self.accumulators[span] for span in spans])
        return np.bincount(accumulators, weights=weights, minlength=self.size).astype(np.int64)

    def _dense_product(self, activations: NDArray[np.float64], codebook: NDArray[np.int16]) -> NDArray[np.int64]:
        columns = len(self.column_starts) - 1
        if 8 * columns * self.size <= _KEEP_BYTES:
            key = codebook.tobytes()
            if self._kept is None or self._kept[0] != key:
                self._kept = key, self._dense_block(0, columns, codebook)
            return (activations @ self._kept[1]).astype(np.int64)
        step = max(1, _BLOCK_BYTES // (8 * self.size))
        sums = np.zeros((len(activations), self.size))
        for first in range(0, columns, step):
            last = min(first + step, columns)
            sums += activations[:, first:last] @ self._dense_block(first, last, codebook)
        return sums.astype(np.int64)

    def _dense_block(self, first: int, last: int, codebook: NDArray[np.int16]) -> NDArray[np.float64]:
        starts = self.column_starts[first : last + 1]
        span = slice(starts[0], starts[-1])
        column = np.repeat(np.arange(last - first), np.diff(starts))
        flat = column * self.size + self.accumulators[span]
        weights = codebook.astype(np.float64)[self.codes[span]]
        # A row address may wrap, so an accumulator can have several entries in a column: add, don't assign.
        return np.bincount(flat, weights=weights, minlength=(last - first) * self.size).reshape(last - first, self.size)


def decode_tile(pointers: NDArray[np.uint32], words: NDArray[np.uint8], config: ArrayConfig) -> TileMatrix:
    """Decode a tile.

    Parameters
    ----------
    pointers : ndarray, shape (columns + 1, N), uint32
        Pointer words.
    words : ndarray, shape (N, entry_words, beat_bytes), uint8
        Sparse-matrix memory of a bank, as loaded.
    config : ArrayConfig
    """
    columns = len(pointers) - 1
    addresses = (pointers & np.uint32(config.entries - 1)).astype(np.int64)
    lengths = ((addresses[1:] - addresses[:-1]) % config.entries).ravel()
    total = int(lengths.sum())
    ends = np.cumsum(lengths)
    begins = ends - lengths
    run = np.repeat(np.arange(columns * config.num_pes), lengths)
    pe = run % config.num_pes

    position = (addresses[:-1].ravel()[run] + np.arange(total) - begins[run]) % config.entries
    values = _read_entries(words, pe, position, config)
    codes = (values & (CODEBOOK_SIZE - 1)).astype(np.uint8)

    # Local row: the entries' steps added up over each run, from the first row or the top.
    steps = np.concatenate(([0], np.cumsum((values >> CODE_BITS) + 1)))
    local = steps[1:] - steps[begins][run] - 1
    if config.first_row:
        local += (pointers[:-1].ravel() >> np.uint32(config.start_bits)).astype(np.int64)[run]
    local %= config.rows

    real = codes != 0
    per_run = np.bincount(run[real], minlength=columns * config.num_pes).reshape(columns, config.num_pes)
    starts = np.zeros(columns + 1, np.int64)
    np.cumsum(per_run.sum(axis=1), out=starts[1:])
    return TileMatrix(
        column_starts=starts,
        accumulators=(local * config.num_pes + pe)[real],
        codes=codes[real],
        work=per_run.astype(np.float64),
        padding=(lengths.reshape(per_run.shape) - per_run).astype(np.float64),
        size=(int(local.max()) + 1 if total else 1) * config.num_pes,
    )


def _read_entries(
    words: NDArray[np.uint8], pe: NDArray[np.int64], position: NDArray[np.int64], config: ArrayConfig
) -> NDArray[np.int64]:
    """Pick entries out of the words: the bytes that hold one, shifted and masked."""
    word, entry = np.divmod(position, config.entries_per_word)
    byte, shift = np.divmod(entry * config.entry_bits, 8)
    flat = words.reshape(-1)
    first = (pe * config.entry_words + word) * config.beat_bytes + byte
    values = flat[first].astype(np.int64)
    for more in range(1, (7 + config.entry_bits + 7) // 8):
        # Beyond the end of a word there is nothing of the entry: the mask drops what is read there.
        values |= flat[np.minimum(first + more, flat.size - 1)].astype(np.int64) << (8 * more)
    return values >> shift & ((1 << config.entry_bits) - 1)


_compiled: list[Callable[..., Any] | None] = []


def compiled_kernel() -> Callable[..., Any] | None:
    """Return the loop over entries compiled by numba (extra "fast"), or None where numba is not installed."""
    if not _compiled:
        try:
            from eie.compiled import accumulate
        except ImportError:
            _compiled.append(None)
        else:
            _compiled.append(accumulate)
    return _compiled[0]
