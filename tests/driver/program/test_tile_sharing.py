"""Streamed weights shared by a batch: the right answers, from programs in which each tile is loaded once."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import eie
from eie.contract import isa
from eie.program.packing import pack
from eie.program.tile_sharing import choose_shared
from tests.driver.program.test_packing import layer
from tests.instructions import instructions_of
from tests.strategies import activations, configs, models

SMALL = eie.ArrayConfig(num_pes=16, entries=512, pointers=128, rows=16, activations=1024)


def run(packed, a):
    """Run a batch through the segments of a packed model on the emulation."""
    device = eie.EmulatedDevice(packed.config)
    for segment in packed.segments:
        words = np.zeros(segment.words(len(a)), np.uint64)
        segment.fill(a, words)
        device.send(words.view(np.uint8))
        a = segment.unpack(device.receive(8 * segment.output_words * len(a)), len(a))
    return a


@settings(max_examples=80, deadline=None)
@given(models(), configs(), st.sampled_from((2, 4)), st.integers(1, 9), st.integers(0, 2**32))
def test_shared_tiles_give_what_the_reference_gives(model, config, shared, batch, seed):
    assume(config.rows // config.rows_per_group >= shared and config.activation_groups // 2 >= shared)
    packed = pack(model, config, shared=shared)
    a = activations(packed.model, batch, seed)
    assert not packed.resident
    assert np.array_equal(run(packed, a), eie.reference(packed.given, a))


@pytest.mark.parametrize(("rows", "columns"), [(100, 3000), (1500, 300), (256, 64)])
def test_each_tile_is_loaded_once_for_all_that_share_it(rows, columns):
    model = eie.Model([layer(rows, columns)])
    kinds = [
        [i.name for i, _, _ in instructions_of(pack(model, SMALL, shared=4).segments[0].units[n - 1].words, SMALL)]
        for n in (1, 4)
    ]
    one, four = ({name: names.count(name) for name in set(names)} for names in kinds)
    for name in ("LENGTHS", "ENTRIES", "BIAS"):
        assert four[name] == one[name]
    for name in ("ACTIVATIONS", "COMPUTE", "STORE"):
        assert four[name] == 4 * one[name]


def test_columns_too_long_for_lengths_take_pointers():
    packed = pack(eie.Model([layer(64 * 16, 40, density=1)]), eie.ArrayConfig(num_pes=16), shared=2)
    kinds = {i.name for i, _, _ in instructions_of(packed.segments[0].unit, packed.config)}
    assert "POINTERS" in kinds and "LENGTHS" not in kinds


def test_as_many_share_as_make_it_fastest():
    large = eie.Model([layer(2048, 2048, density=0.1)])
    wide, narrow = eie.ArrayConfig(num_pes=64), eie.ArrayConfig(num_pes=1, rows=2048)
    assert [choose_shared(large, wide, batch) for batch in (1, 2, 3, 4, 100)] == [1, 2, 2, 4, 4]
    assert choose_shared(large, narrow, 100) == 1, "one PE computes longer than its weights take to load"
    assert choose_shared(large, eie.ArrayConfig(num_pes=64, rows=2), 100) in (1, 2), "there are no quarters"


def test_a_batch_brings_fewer_words_and_one_inference_no_more():
    packed = pack(eie.Model([layer(2000, 2500, density=0.1)]), eie.ArrayConfig(num_pes=64))
    assert packed.for_batch(1) is packed
    words = [sum(s.words(batch) for s in packed.for_batch(batch).segments) / batch for batch in (1, 2, 4, 16)]
    assert words[1] < 0.6 * words[0] and words[2] < 0.32 * words[0] and words[3] == words[2]
    assert isa.LENGTHS in {i for i, _, _ in instructions_of(packed.for_batch(4).segments[0].unit, packed.config)}


def test_a_resident_model_has_one_form():
    packed = pack(eie.Model([layer(30, 40)]), SMALL)
    assert packed.resident and packed.for_batch(100) is packed
