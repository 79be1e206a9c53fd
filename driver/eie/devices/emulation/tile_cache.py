"""The tiles that COMPUTEs name, decoded once and kept until their bank is written, as far as there is room.

Weights that do not stay on the array come again for every few inputs, so a tile is also found by what is in its
memories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.devices.emulation.overlapping_tile import OverlappingTile
from eie.devices.emulation.tile_matrix import TileMatrix, decode_columns, run_lengths

_ROOM = 2
"""Entries and columns kept of a bank, at most, in times what the bank holds; more only where tiles overlap."""
_KNOWN_BYTES = 128 << 20
"""Decoded tiles kept beyond their bank, at most."""
_PART_ENTRIES = 1 << 18
"""Entries decoded at a time of a tile whose ranges overlap."""


class TileCache:
    """Decoded tiles, and what the PEs did with them.

    Parameters
    ----------
    config : ArrayConfig
    pointers, entries : ndarray
        The memories, as in `Machine`; `forget` tells of their changes.

    Attributes
    ----------
    loads : int
        Changes so far.
    """

    def __init__(self, config: ArrayConfig, pointers: NDArray[np.uint32], entries: NDArray[np.uint8]) -> None:
        self.config, self.pointers, self.entries = config, pointers, entries
        self._kept: list[dict[tuple[int, int], TileMatrix]] = [{} for _ in range(config.banks)]
        self._known: dict[bytes, TileMatrix] = {}
        self._known_bytes = 0
        self._work = np.zeros((2, config.num_pes), np.int64)
        self.loads = 0

    def tile(self, bank: int, pointers: int, count: int) -> TileMatrix:
        """Return the tile of `count` activation groups whose column 0 has the pointer pair `pointers`."""
        kept = self._kept[bank]
        key = pointers, count
        if key not in kept:
            tile = self._decoded(bank, self._words(bank, pointers, count))
            if not self._fits(tile, kept):
                self._drop(bank)
            kept[key] = tile
        return kept[key]

    def _decoded(self, bank: int, words: NDArray[np.uint32]) -> TileMatrix:
        """Return the tile of these pointer words, the oldest others forgotten for it."""
        content = blake2b(words.tobytes(), digest_size=32)
        content.update(self.entries[bank].data)
        key = content.digest()
        tile = self._known.pop(key, None)
        if tile is None:
            tile = decode_columns(words[:-1], words[1:], self.entries[bank], self.config)
            self._known_bytes += tile.nbytes
        self._known[key] = tile
        while self._known_bytes > _KNOWN_BYTES:
            self._known_bytes -= self._known.pop(next(iter(self._known))).nbytes
        return tile

    def lengths(self, bank: int, pointers: int, count: int) -> NDArray[np.int32]:
        """Return how many entries each PE has of each column of a tile, shape (columns, N)."""
        return run_lengths(self._words(bank, pointers, count), self.config).astype(np.int32)

    def rows(self, bank: int, pointers: int, count: int) -> int:
        """Return how many local rows a tile may reach, whichever of its columns are active."""
        if self._overlaps(bank, pointers, count):
            return self.config.rows
        return self.tile(bank, pointers, count).size // self.config.num_pes

    def parts(
        self, bank: int, pointers: int, count: int, active: NDArray[np.bool_]
    ) -> Iterator[tuple[slice | NDArray[np.intp], TileMatrix | OverlappingTile]]:
        """Yield which columns of a tile, and their entries; in the end these are all columns that are active.

        Pointers may give every column all of the memory: such a tile is never decoded as a whole.
        """
        if self._overlaps(bank, pointers, count):
            words = self._words(bank, pointers, count)
            decode, parts = self._overlapping(np.flatnonzero(active), run_lengths(words, self.config).sum(axis=1))
            for columns in parts:
                part = decode(words[columns], words[columns + 1], self.entries[bank], self.config)
                yield columns, part
                self._work += part.take_counts()
        elif active.any():
            yield slice(None), self.tile(bank, pointers, count)

    def _overlaps(self, bank: int, pointers: int, count: int) -> bool:
        """Return whether a tile's columns have more entries than are kept of a bank."""
        if (pointers, count) in self._kept[bank]:
            return False
        lengths = run_lengths(self._words(bank, pointers, count), self.config)
        return int(lengths.sum()) > _ROOM * self.config.num_pes * self.config.entries

    def _overlapping(
        self, active: NDArray[np.intp], lengths: NDArray[np.intp]
    ) -> tuple[Callable[..., TileMatrix | OverlappingTile], Iterable[NDArray[np.intp]]]:
        """Return how columns that overlap are best decoded, and in which parts."""
        if int(lengths[active].sum()) > len(active) * self.config.rows * self.config.num_pes:
            return OverlappingTile, [active]
        return decode_columns, _in_parts(active, lengths)

    def forget(self, bank: int) -> None:
        """Note that a bank's pointers or entries have changed."""
        self.loads += 1
        self._drop(bank)

    def _drop(self, bank: int) -> None:
        if self._kept[bank]:
            self.work()
            for tile in self._kept[bank].values():
                tile.forget_products()
            self._kept[bank].clear()

    def work(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the work and padding entries of each PE since `clear_work`, shape (N,)."""
        for tile in (tile for kept in self._kept for tile in kept.values()):
            self._work += tile.take_counts()
        return self._work[0], self._work[1]

    def clear_work(self) -> None:
        """Start counting again from 0."""
        self.work()
        self._work[:] = 0

    def _words(self, bank: int, pointers: int, count: int) -> NDArray[np.uint32]:
        columns = count * self.config.lanes
        return self.pointers[bank, 2 * pointers : 2 * pointers + columns + 1, : self.config.num_pes]

    def _fits(self, tile: TileMatrix, kept: dict[tuple[int, int], TileMatrix]) -> bool:
        tiles = [tile, *kept.values()]
        entries, columns = sum(len(t.entries) for t in tiles), sum(len(t.broadcasts) for t in tiles)
        config = self.config
        return entries <= _ROOM * config.num_pes * config.entries and columns <= _ROOM * config.pointers


def _in_parts(columns: NDArray[np.intp], lengths: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Cut columns into parts of at most `_PART_ENTRIES` entries, but of one column at least."""
    first = 0
    ends = np.cumsum(lengths[columns])
    while first < len(columns):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _PART_ENTRIES, side="right")))
        yield columns[first:last]
        first = last
