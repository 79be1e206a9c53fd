"""The report counts what is stored."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.report import CompressionReport, compression_report, layer_report, sqnr_db
from eie.contract.config import ArrayConfig
from eie.network.model import Layer, Model
from eie.program.packing import pack


def layer_of(codes):
    return Layer.from_dense_codes(codes, np.arange(16), name="fc")


def padding_by_hand(codes, config):
    """Walk down every PE's part of every column, as the paper describes; around the accumulators from the best row
    where pointers carry the first one."""
    count = 0
    for pe in range(config.num_pes):
        for column in codes[pe :: config.num_pes].T:
            rows = np.flatnonzero(column).tolist()
            gaps = [row - before - 1 for before, row in itertools.pairwise([-1, *rows])]
            paddings = [gap // 2**config.index_bits for gap in gaps]
            if config.first_row and rows:
                paddings[0] = (gaps[0] + config.rows - 1 - rows[-1]) // 2**config.index_bits
                paddings.remove(max(paddings))
            count += sum(paddings)
    return count


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 4, 8]), st.integers(1, 4), st.booleans())
def test_padding_is_what_a_walk_over_the_columns_counts(seed, num_pes, index_bits, first_row):
    rng = np.random.default_rng(seed)
    codes = (rng.integers(1, 16, (90, 7)) * (rng.random((90, 7)) < 0.1)).astype(np.uint8)
    config = ArrayConfig(num_pes=num_pes, index_bits=index_bits, first_row=first_row, rows=128, balance_rows=False)
    assert layer_report(layer_of(codes), config).padding_entries == padding_by_hand(codes, config)


def test_padding_is_that_of_the_rows_in_the_order_in_which_they_are_packed():
    rng = np.random.default_rng(5)
    layer = layer_of(
        (rng.integers(1, 16, (200, 40)) * (rng.random((200, 40)) < rng.random((200, 1)) ** 4)).astype(np.uint8)
    )
    config = ArrayConfig(num_pes=4, index_bits=2, first_row=False)
    (row_tiles,) = pack(Model([layer]), config).row_tiles
    packed = sum(tile.tiles[0].encoded.padding for tile in row_tiles)
    assert layer_report(layer, config).padding_entries == packed
    assert layer_report(layer, replace(config, balance_rows=False)).padding_entries != packed


def test_bytes_are_packed_entries_codebook_and_bias():
    codes = np.zeros((40, 2), np.uint8)
    codes[[0, 39], 0] = 3  # a gap of 38 rows on one PE: two paddings with 4-bit indices
    row = layer_report(layer_of(codes), ArrayConfig(num_pes=1, index_bits=4, first_row=False))
    assert row.padding_entries == 2 and row.padding == 0.5
    assert row.compressed_bytes == 4 * 8 // 8 + 32 + 40 * 4
    assert row.float_bytes == (80 + 40) * 4
    assert row.density == 2 / 80
    assert row.pointer_bytes == math.ceil(3 * ArrayConfig().start_bits / 8)


def test_sqnr_of_a_tenth_is_20_db():
    assert sqnr_db([1, -2], [1.1, -2.2]) == pytest.approx(20)
    assert sqnr_db([1, 2], [1, 2]) == math.inf
    assert sqnr_db([0, 0], [1, 1]) is None


def test_what_the_network_has_no_number_for_has_no_part_in_the_sqnr():
    assert sqnr_db([1, -np.inf, -2, np.nan], [1.1, -np.inf, -2.2, 5]) == pytest.approx(20)
    assert sqnr_db([1, -2], [1.1, np.nan]) == -math.inf
    assert sqnr_db([np.inf], [np.inf]) is None


def test_a_report_survives_strict_json():
    layer = layer_of(np.ones((4, 4), np.uint8))
    row = layer_report(layer, ArrayConfig(), weight_sqnr_db=math.inf, output_sqnr_db=31.5, fixed_point_sqnr_db=None)
    report = CompressionReport((row,))
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert CompressionReport.from_dict({"density": 1, **json.loads(text)}) == report


def test_a_report_on_another_array_keeps_the_errors_and_counts_padding_anew():
    codes = np.zeros((4096, 1), np.uint8)
    codes[[0, 4095]] = 1
    layer = layer_of(codes)
    small, large = ArrayConfig(num_pes=1, rows=4096, first_row=False), ArrayConfig(num_pes=64)
    row = layer_report(layer, small, weight_sqnr_db=12.5)
    model = Model([layer], metadata={"compression": CompressionReport((row,)).to_dict()})
    (moved,) = compression_report(model, large).layers
    assert moved.weight_sqnr_db == 12.5
    assert (row.padding_entries, moved.padding_entries) == (4094 // 32, 0)
    assert compression_report(Model([layer]), large).layers[0].weight_sqnr_db is None


def test_the_table_has_a_line_for_each_layer_and_a_total():
    layer = layer_of(np.ones((4, 4), np.uint8))
    table = compression_report(Model([layer, layer])).table().splitlines()
    assert len(table) == 4 and {len(line) for line in table[:-1]} == {len(table[0])}
    assert table[0].index("kept") + len("kept") == table[-1].index("100.00%") + len("100.00%")
    assert table[1].startswith("fc") and "4 x 4" in table[1] and table[3].startswith("total")
    assert "100.00%" in table[3]
