"""A tile as the array sees it, decoded from the on-chip memories, and its product with a batch of activations."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import CODE_BITS, CODEBOOK_SIZE, ArrayConfig
from eie.devices.emulation.tile_products import TileProducts


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
    _kept: TileProducts | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.broadcasts = np.zeros(len(self.column_starts) - 1, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory it takes, without what its products keep."""
        return self.column_starts.nbytes + self.entries.nbytes + self.work.nbytes + self.padding.nbytes

    def forget_products(self) -> None:
        """Let go what only the next product would use again."""
        self._kept = None

    def take_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the work and padding entries of each PE, shape (N,), of all broadcasts so far, and forget these."""
        counts = self.broadcasts @ self.work, self.broadcasts @ self.padding
        self.broadcasts[:] = 0
        return counts

    def accumulate(self, activations: NDArray[np.int16], codebook: NDArray[np.int16], sums: NDArray[np.int64]) -> None:
        """Add the products of a batch, int16, shape (B, columns), to its accumulators, shape (B, size or more).

        Which way is fastest, `eie.devices.emulation.tile_products` knows.
        """
        if self._kept is None or self._kept.codebook.tobytes() != codebook.tobytes():
            self._kept = TileProducts(self.column_starts, self.entries, self.size, codebook.copy())
        self._kept.add(activations, sums)


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
