"""Tiling: the tiles cover a layer once and fit the memories, whatever its shape."""

import numpy as np
import pytest
from hypothesis import given, settings

import eie
from eie.program.tiling import tile_layer
from tests.strategies import configs, layers


def check_tiles(layer, config):
    row_tiles = tile_layer(layer, config)
    groups = -(-layer.columns // config.lanes)
    next_row = 0
    nonzeros = 0
    for row_tile in row_tiles:
        assert row_tile.first_local_row == next_row
        assert 0 < row_tile.local_rows <= config.rows
        assert row_tile.local_rows % config.rows_per_group == 0
        next_row += row_tile.local_rows
        next_group = term = 0
        for tile in row_tile.tiles:
            if tile.term != term:
                assert (next_group, tile.term) == (groups, term + 1)
                next_group, term = 0, tile.term
            assert tile.first_group == next_group
            next_group += tile.groups
            assert tile.pairs <= config.pointer_pairs
            assert tile.word_counts.max() <= config.entry_words
            assert np.diff(tile.starts, axis=1).max() < config.entries
            for pe in range(config.num_pes):
                entries = tile.encoded.entries[tile.starts[pe, 0] : tile.starts[pe, -1]]
                nonzeros += np.count_nonzero(entries & 15)
        assert (next_group, term + 1) == (groups, len(layer.terms))
    assert next_row == -(-layer.rows // config.lanes) * config.rows_per_group
    assert nonzeros == layer.nonzeros
    return row_tiles


@settings(max_examples=80, deadline=None)
@given(layers(), configs(pes=(1, 2, 4, 16, 64)))
def test_tiles_cover_a_layer_once_and_fit(layer, config):
    check_tiles(layer, config)


def test_a_column_that_would_fill_a_bank_is_cut_by_rows():
    # Its length would be 0 modulo the bank's depth.
    config = eie.ArrayConfig(num_pes=4, entries=8, entries_per_word=8, pointers=16, rows=8, activations=64)
    codes = np.zeros((32, 4), np.uint8)
    codes[:, 1] = 1
    row_tiles = check_tiles(eie.Layer.from_dense_codes(codes, np.arange(16)), config)
    assert len(row_tiles) == 2


def test_rows_beyond_the_accumulators_are_spread_evenly():
    config = eie.ArrayConfig(num_pes=4, rows=8, activations=1024)
    layer = eie.Layer.from_dense_codes(np.ones((36, 3), np.uint8), np.arange(16))
    assert [t.local_rows for t in check_tiles(layer, config)] == [5, 4]


@pytest.mark.parametrize("num_pes", [1, 64])
def test_a_dense_layer_fits_the_smallest_memories(num_pes):
    lanes = max(4, num_pes)
    config = eie.ArrayConfig(
        num_pes=num_pes,
        entries_per_word=1,
        entries=lanes * lanes // num_pes,
        pointers=2 * lanes,
        rows=lanes // num_pes * 2,
        activations=2 * lanes,
    )
    check_tiles(eie.Layer.from_dense_codes(np.full((3 * lanes, 130), 15), np.arange(16)), config)
