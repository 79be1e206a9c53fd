"""Columns that share entries add up to what they do when each is decoded by itself, in little memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.contract import isa
from eie.devices.emulation import overlapping_tile, tile_cache
from eie.devices.emulation.overlapping_tile import OverlappingTile
from eie.devices.emulation.tile_matrix import decode_columns


@st.composite
def tiles(draw):
    """Return two tiles of the same random memories, whose rows wrap as well as their ranges."""
    num_pes = draw(st.sampled_from((1, 2, 8)))
    config = eie.ArrayConfig(
        num_pes=num_pes,
        entries=draw(st.sampled_from((64, 256))),
        entries_per_word=draw(st.sampled_from((1, 8, 64))),
        index_bits=draw(st.integers(1, 12)),
        rows=draw(st.sampled_from((4, 16, 1024))),
        first_row=draw(st.booleans()),
    )
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    columns = draw(st.integers(1, 40))
    words = rng.integers(0, 256, (num_pes, config.entry_words, config.beat_bytes)).astype(np.uint8)
    begin, end = rng.integers(0, 1 << config.pointer_bits, (2, columns, num_pes)).astype(np.uint32)
    return [make(begin, end, words, config) for make in (OverlappingTile, decode_columns)], config, rng


@given(tiles(), st.integers(1, 3))
def test_sums_and_counts_are_those_of_the_columns_one_by_one(pair, batch):
    (together, alone), config, rng = pair
    columns = len(together.broadcasts)
    codebook = np.r_[0, rng.choice([-32768, 32767, 1, -77], 15)].astype(np.int16)
    activations = rng.choice(np.array([0, -32768, 32767, 5], np.int16), (batch, columns))
    sums = rng.integers(-1000, 1000, (2, batch, config.rows * config.num_pes + 3))
    sums[1] = sums[0]
    for tile, mine in zip((together, alone), sums, strict=True):
        tile.accumulate(activations, codebook, mine)
        tile.broadcasts += np.count_nonzero(activations, axis=0)
    assert np.array_equal(sums[0], sums[1])
    assert np.array_equal(together.take_counts(), alone.take_counts())
    assert not np.any(together.take_counts())


@given(tiles())
def test_sums_do_not_depend_on_how_many_are_kept_at_a_time(pair):
    (tile, _), config, rng = pair
    activations = rng.integers(-300, 300, (1, len(tile.broadcasts))).astype(np.int16)
    sums = np.zeros((2, 1, config.rows * config.num_pes), np.int64)
    codebook = np.arange(16, dtype=np.int16)
    tile.accumulate(activations, codebook, sums[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlapping_tile, "_SUMS", 1)
        tile.accumulate(activations, codebook, sums[1])
    assert np.array_equal(sums[0], sums[1])


def test_a_short_program_of_random_pointers_is_little_work(monkeypatch):
    """Of 150 KB; decoded column by column, all of which are active, it has 63 million entries."""
    config = eie.ArrayConfig()
    rng = np.random.default_rng(0)
    load = isa.POINTERS.encode(bank=0, address=0, count=config.pointer_pairs)
    pointers = rng.integers(0, 1 << 64, isa.POINTERS.payload_words(config, isa.POINTERS.decode(load)), np.uint64)
    groups = (config.pointers - 1) // config.lanes
    ones = np.full(groups * config.words_per_group, 0x0001_0001_0001_0001, np.uint64)
    all_active = np.uint64(isa.ACTIVATIONS.encode(address=0, count=groups))
    compute = np.uint64(isa.COMPUTE.encode(bank=0, part=0, slot=0, pointers=0, address=0, count=groups))
    program = np.concatenate([[np.uint64(load)], pointers, [all_active], ones, [compute]])
    device = eie.EmulatedDevice(config)
    monkeypatch.setattr(tile_cache, "decode_columns", None)
    tracemalloc.start()
    device.send(program.astype("<u8").view(np.uint8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert device.machine.broadcasts == groups * config.lanes
    assert int(np.sum(device.machine.work())) > 60_000_000
    assert peak < 20_000_000
