"""Relative-index encoding: decoding entry by entry gives the matrix back, with no needless padding."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

import eie
from eie.program.encoding import encode_rows
from tests.strategies import configs, layers


def decode(encoded, config, columns):
    """Walk over the entries as the hardware does, rows modulo the accumulators."""
    for pe in range(config.num_pes):
        for column in range(columns):
            row = int(encoded.first_rows[pe, column]) - 1
            for entry in encoded.entries[encoded.starts[pe, column] : encoded.starts[pe, column + 1]].tolist():
                row = (row + 1 + (entry >> 4)) % config.rows
                yield pe, column, row, entry & 15


@settings(max_examples=60, deadline=None)
@given(layers(max_size=40), configs(pes=(1, 2, 4, 16)))
def test_walking_over_the_entries_gives_the_matrix_back(layer, config):
    config = dataclasses.replace(config, rows=64)
    encoded = encode_rows(layer.column_starts, layer.row_indices, layer.codes, config)
    dense = np.zeros((layer.rows, layer.columns), np.uint8)
    for pe, column, row, code in decode(encoded, config, layer.columns):
        if code:
            dense[row * config.num_pes + pe, column] = code
    assert np.array_equal(dense, layer.dense_codes())
    assert len(encoded.entries) == len(layer.codes) + encoded.padding
    assert encoded.starts[0, 0] == 0
    assert encoded.starts[-1, -1] == len(encoded.entries)


def column_of(rows, index_bits, first_row):
    config = eie.ArrayConfig(num_pes=1, index_bits=index_bits, first_row=first_row, rows=64)
    rows = np.array(rows)
    encoded = encode_rows(np.array([0, len(rows)]), rows, np.full(len(rows), 9, np.uint8), config)
    return [(e & 15, e >> 4) for e in encoded.entries.tolist()], int(encoded.first_rows[0, 0])


@pytest.mark.parametrize(
    ("rows", "entries"),
    [
        ([0], [(9, 0)]),
        ([15], [(9, 15)]),
        ([16], [(0, 15), (9, 0)]),
        ([31], [(0, 15), (9, 15)]),
        ([32], [(0, 15), (0, 15), (9, 0)]),
        ([0, 1, 18], [(9, 0), (9, 0), (0, 15), (9, 0)]),
        ([0, 16, 17], [(9, 0), (9, 15), (9, 0)]),
    ],
)
def test_a_gap_of_more_than_15_zeros_takes_padding(rows, entries):
    assert column_of(rows, 4, first_row=False) == (entries, 0)


def test_a_first_row_in_the_pointer_saves_the_first_padding():
    assert column_of([40, 41], 4, first_row=True) == ([(9, 0), (9, 0)], 40)


def test_a_column_begins_behind_its_widest_gap_where_that_saves_padding():
    assert column_of([3, 40, 41], 4, first_row=True) == ([(9, 0), (9, 0), (0, 15), (9, 9)], 40)
    assert column_of([3, 5], 4, first_row=True) == ([(9, 0), (9, 1)], 3)


def test_an_index_one_bit_narrower_than_a_row_needs_no_padding():
    rng = np.random.default_rng(0)
    layer = eie.Layer.from_dense_codes(rng.random((64 * 16, 300)) < rng.random(300) ** 4, np.arange(16))
    for rows, bits in ((64, 5), (128, 6)):
        config = eie.ArrayConfig(num_pes=1024 // rows, rows=rows, index_bits=bits)
        assert encode_rows(layer.column_starts, layer.row_indices, layer.codes, config).padding == 0


def test_padding_falls_with_the_width_of_the_index():
    rng = np.random.default_rng(0)
    layer = eie.Layer.from_dense_codes(rng.random((2000, 20)) < 0.05, np.arange(16))
    padding = []
    for bits in (2, 3, 4, 5, 8):
        config = eie.ArrayConfig(num_pes=4, index_bits=bits, first_row=False)
        padding.append(encode_rows(layer.column_starts, layer.row_indices, layer.codes, config).padding)
    assert padding == sorted(padding, reverse=True)
    assert padding[0] > len(layer.codes)
    assert padding[-1] == 0
