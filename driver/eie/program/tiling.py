"""Cutting a layer into tiles that fit the array's memories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eie.contract.bits import pack_fields
from eie.contract.config import LENGTH_BITS, LENGTH_MASK, WORD_BYTES, ArrayConfig
from eie.network.model import Layer, Model
from eie.network.term import Term
from eie.program.balancing import balance
from eie.program.encoding import EncodedRows, encode_rows


@dataclass(frozen=True, eq=False)
class Tile:
    """Whole activation groups of columns, of one block of rows, encoded.

    Parameters
    ----------
    first_group, groups : int
        Columns of the layer, in activation groups.
    encoded : EncodedRows
        Of the block of rows; shared by its tiles.
    config : ArrayConfig
    term : int
        Of the layer: which codebook the codes are of.
    by_lengths : bool
        Whether its pointers are loaded as the lengths of its columns: these fit, and begin at the first row.
    """

    first_group: int
    groups: int
    encoded: EncodedRows
    config: ArrayConfig
    term: int = 0
    by_lengths: bool = False

    @property
    def pairs(self) -> int:
        """Pointer pairs per PE: one pointer a column, and the end of the last."""
        return self.groups * self.config.lanes // 2 + 1

    @property
    def starts(self) -> NDArray[np.intp]:
        """Positions of the tile's columns in the block's entries, shape (N, columns + 1)."""
        columns = slice(self.first_group * self.config.lanes, (self.first_group + self.groups) * self.config.lanes + 1)
        return self.encoded.starts[:, columns]

    @property
    def entry_counts(self) -> NDArray[np.intp]:
        """Entries of each PE, shape (N,)."""
        return self.starts[:, -1] - self.starts[:, 0]

    @property
    def word_counts(self) -> NDArray[np.intp]:
        """Sparse-matrix words of each PE, shape (N,): as many for all PEs that are loaded together."""
        words = -(-self.entry_counts // self.config.entries_per_word)
        together = self.config.flit_words
        return words.reshape(-1, together).max(axis=1).repeat(together)

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Entries of each PE's columns, padding included, shape (columns, N), contiguous."""
        return np.ascontiguousarray(np.diff(self.starts, axis=1).T, np.int32)

    @property
    def padding(self) -> NDArray[np.int32]:
        """Padding entries of each PE's columns, shape (columns, N)."""
        if not self.encoded.padding:
            return np.zeros((self.starts.shape[1] - 1, self.config.num_pes), np.int32)
        return np.diff(self.encoded.padding_before[self.starts], axis=1).T

    def word_reads(self) -> NDArray[np.int32]:
        """Return the words of the sparse-matrix memory that each PE's columns lie in, shape (columns, N)."""
        starts = self.starts - self.starts[:, :1]
        first, end = starts[:, :-1], starts[:, 1:]
        words = (end - 1) // self.config.entries_per_word - first // self.config.entries_per_word + 1
        return np.where(end > first, words, 0).T.astype(np.int32)

    def pointer_beats(self, first_word: NDArray[np.intp]) -> NDArray[np.uint8]:
        """Return the payload of the tile's POINTERS, given each PE's first word; shape (beats, beat_bytes)."""
        config = self.config
        starts = self.starts
        words = np.zeros((2 * config.pe_pairs, 2 * self.pairs), np.uint32)
        base = first_word[:, None] * config.entries_per_word - starts[:, :1]
        words[: config.num_pes, : starts.shape[1]] = (starts + base) % config.entries
        if config.first_row:
            first = self.first_group * config.lanes
            columns = starts.shape[1] - 1
            rows = self.encoded.first_rows[:, first : first + columns].astype(np.uint32)
            words[: config.num_pes, :columns] |= rows << np.uint32(config.start_bits)
        by_pair = words.reshape(config.pe_pairs, 2, self.pairs, 2).transpose(2, 0, 1, 3)
        return pack_fields(by_pair.reshape(-1, 4), config.pointer_bits, config.beat_bytes)

    def length_words(self) -> NDArray[np.uint8]:
        """Return the payload of the tile's LENGTHS, for entries that begin at address 0; shape (pairs, bytes)."""
        config = self.config
        lengths = np.zeros((2 * self.pairs, config.num_pes), np.uint8)
        lengths[: self.starts.shape[1] - 1] = self.lengths
        both = lengths[::2] | lengths[1::2] << LENGTH_BITS
        return np.pad(both, ((0, 0), (0, config.length_words * WORD_BYTES - config.num_pes)))

    def entry_beats(self) -> NDArray[np.uint8]:
        """Return all PEs' sparse-matrix words, shape (sum of word_counts, beat_bytes): those of PEs that are loaded
        together by turns, and one such group of PEs after another."""
        config = self.config
        starts, counts, words = self.starts, self.entry_counts, self.word_counts
        entries = np.concatenate([self.encoded.entries[s:e] for s, e in zip(starts[:, 0], starts[:, -1], strict=True)])
        slots = np.zeros(int(words.sum()) * config.entries_per_word, np.uint16)
        first_word = np.cumsum(words) - words
        first_slot = first_word * config.entries_per_word
        slots[np.arange(len(entries)) + np.repeat(first_slot - (np.cumsum(counts) - counts), counts)] = entries
        beats = pack_fields(slots.reshape(-1, config.entries_per_word), config.entry_bits, config.beat_bytes)
        if (together := config.flit_words) > 1:
            # Word w of the r-th PE of a group is the group's beat w * together + r.
            number = np.arange(len(beats)) - first_word.repeat(words)
            pe = np.arange(config.num_pes)
            first_beat = first_word[pe - pe % together] + pe % together
            by_turns = np.empty_like(beats)
            by_turns[first_beat.repeat(words) + number * together] = beats
            return by_turns
        return beats


@dataclass(frozen=True, eq=False)
class RowTile:
    """A block of rows that the accumulators hold at once, cut into tiles of columns, term after term."""

    first_local_row: int
    local_rows: int
    tiles: tuple[Tile, ...]

    @property
    def padding(self) -> int:
        """Padding entries."""
        return sum({id(tile.encoded): tile.encoded.padding for tile in self.tiles}.values())


class TiledModel(NamedTuple):
    """A model in the order of rows in which the array has it, and its tiles.

    Attributes
    ----------
    model : Model
        The same function, but for the order of its outputs.
    places : tuple, per layer ndarray, shape (R,), intp
        The row that each row has become (`eie.program.balancing`); empty if it is its own.
    row_tiles : tuple, per layer a tuple of RowTile
    """

    model: Model
    places: tuple[NDArray[np.intp], ...]
    row_tiles: tuple[tuple[RowTile, ...], ...]


def tile_model(
    model: Model,
    config: ArrayConfig,
    limits: Sequence[tuple[int | None, int | None]] | None = None,
    by_lengths: bool = False,
) -> TiledModel:
    """Order the rows of a model as the array wants them, and cut its layers into tiles.

    Parameters
    ----------
    model : Model
    config : ArrayConfig
    limits : sequence, per layer (max_local_rows, max_groups), optional
    by_lengths : bool
        See `tile_layer`.
    """
    limits = limits or [(None, None)] * len(model.layers)
    places: tuple[NDArray[np.intp], ...] = ()
    if config.balance_rows and config.num_pes > 1:
        sizes = [
            row_tile_sizes(layer.rows, config, rows) for layer, (rows, _) in zip(model.layers, limits, strict=True)
        ]
        model, places = balance(model, sizes, config.num_pes)
    tiles = (tile_layer(layer, config, *limit, by_lengths) for layer, limit in zip(model.layers, limits, strict=True))
    return TiledModel(model, places, tuple(tiles))


def tile_layer(
    layer: Layer,
    config: ArrayConfig,
    max_local_rows: int | None = None,
    max_groups: int | None = None,
    by_lengths: bool = False,
) -> tuple[RowTile, ...]:
    """Cut a layer into row tiles of at most `max_local_rows` per PE and tiles of at most `max_groups` columns.

    With `by_lengths`, pointers are loaded as lengths where these fit and cost no padding.
    Always succeeds: one group of columns of `rows_per_group` rows fits any array that `ArrayConfig` allows.
    """
    step = config.rows_per_group
    total = _total_local_rows(layer.rows, config)
    limit = min(config.rows, max_local_rows or config.rows)
    max_groups = min(config.tile_columns // config.lanes, max_groups or config.activation_groups)
    row_tiles: list[RowTile] = []
    first = 0
    while first < total:
        local_rows = _next_local_rows(total - first, limit, step)
        tiles = _cut_block(layer, config, first, local_rows, max_groups, by_lengths)
        while tiles is None:
            limit = local_rows = _round_up(local_rows // 2, step)
            tiles = _cut_block(layer, config, first, local_rows, max_groups, by_lengths)
        row_tiles.append(RowTile(first, local_rows, tiles))
        first += local_rows
    return tuple(row_tiles)


def row_tile_sizes(rows: int, config: ArrayConfig, max_local_rows: int | None = None) -> list[int]:
    """Return how many of a layer's rows are in each of its row tiles, where no column is too long for a bank."""
    total = _total_local_rows(rows, config)
    limit = min(config.rows, max_local_rows or config.rows)
    ends, end = [], 0
    while end < total:
        end += _next_local_rows(total - end, limit, config.rows_per_group)
        ends.append(min(end * config.num_pes, rows))
    return np.diff(ends, prepend=0).tolist()


def _total_local_rows(rows: int, config: ArrayConfig) -> int:
    return -(-rows // config.lanes) * config.rows_per_group


def _next_local_rows(remaining: int, limit: int, step: int) -> int:
    """Spread the rows evenly over the tiles that are needed, so that no tile is a sliver."""
    return _round_up(-(-remaining // -(-remaining // limit)), step)


def _round_up(value: int, step: int) -> int:
    return max(step, -(-value // step) * step)


def _cut_block(
    layer: Layer, config: ArrayConfig, first_local_row: int, local_rows: int, max_groups: int, by_lengths: bool
) -> tuple[Tile, ...] | None:
    """Cut a block of rows of every term into tiles; None if it is too large."""
    tiles: tuple[Tile, ...] = ()
    for number, term in enumerate(layer.terms):
        block = term, layer.rows, first_local_row, local_rows
        encoded = _encode_block(*block, replace(config, first_row=False)) if by_lengths else None
        fits = encoded is not None and not encoded.padding and _most(encoded) <= LENGTH_MASK
        if encoded is None or not fits:
            encoded = _encode_block(*block, config)
        cut = _cut_columns(encoded, config, max_groups, number, fits)
        if cut is None:
            return None
        tiles += cut
    return tiles


def _most(encoded: EncodedRows) -> int:
    """Return the most entries that a PE has of a column."""
    return int(np.diff(encoded.starts, axis=1).max(initial=0))


def _encode_block(term: Term, all_rows: int, first_local_row: int, local_rows: int, config: ArrayConfig) -> EncodedRows:
    """Encode a block of rows of a term, its columns padded with empty ones to whole groups."""
    low = first_local_row * config.num_pes
    high = low + local_rows * config.num_pes
    starts, rows, codes = term.column_starts, term.row_indices, term.codes
    columns = len(starts) - 1
    padded = -(-columns // config.lanes) * config.lanes
    if low > 0 or high < all_rows:
        inside = (rows >= low) & (rows < high)
        starts = np.concatenate(([0], np.cumsum(inside, dtype=np.intp)))[starts]
        rows, codes = rows[inside] - low, codes[inside]
    starts = np.concatenate((starts, np.full(padded - columns, starts[-1])))
    return encode_rows(starts, rows, codes, config)


def _cut_columns(
    encoded: EncodedRows, config: ArrayConfig, max_groups: int, term: int, by_lengths: bool
) -> tuple[Tile, ...] | None:
    """Cut a block of rows into the fewest tiles whose entries fit a bank; None if a single group does not."""
    if _most(encoded) >= config.entries:
        return None  # a column's length is stored modulo the depth
    at_group = encoded.starts[:, :: config.lanes]
    total = at_group.shape[1] - 1
    tiles: list[Tile] = []
    first = 0
    while first < total:
        reach = at_group[:, first + 1 : first + 1 + max_groups] - at_group[:, first : first + 1]
        groups = int((reach.max(axis=0) <= config.entries).sum())
        if groups == 0:
            return None
        tiles.append(Tile(first, groups, encoded, config, term, by_lengths))
        first += groups
    return tuple(tiles)
