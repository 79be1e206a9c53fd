"""The cycle model: its totals, its bounds, and what each parameter of the array does to them."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.cycle_model.layers import cycles
from eie.cycle_model.timed_device import TimedDevice
from eie.errors import PackError
from eie.program.packing import pack
from tests.strategies import activations, configs, models

ROOMY = {"entries": 4096, "pointers": 4096, "rows": 64, "activations": 4096}


def balanced(columns, local_rows, num_pes=16):
    """A layer that gives every PE the same work in every column."""
    return eie.Layer.from_dense_codes(np.ones((num_pes * local_rows, columns), np.uint8), np.arange(16))


@settings(max_examples=25, deadline=None)
@given(models(max_size=60), configs(pes=(1, 4, 16, 64)), st.integers(0, 2**32))
def test_every_pe_works_pads_or_starves_in_every_cycle_of_an_inference_alone(model, config, seed):
    for layer in cycles(model, activations(model, 1, seed), config):
        assert np.array_equal(layer.work + layer.padding + layer.starved, np.full(config.num_pes, layer.cycles))
        assert layer.work.sum() == layer.useful
        assert layer.cycles >= (layer.work + layer.padding).max()
        assert 0 <= layer.utilisation <= layer.load_balance <= 1


@pytest.mark.parametrize("queue_depth", [2, 4, 8, 32])
@pytest.mark.parametrize("local_rows", [1, 2, 5])
def test_balanced_work_takes_its_entries_and_a_constant(queue_depth, local_rows):
    config = eie.ArrayConfig(num_pes=16, queue_depth=queue_depth, **ROOMY)
    overheads = set()
    for columns in (64, 512):
        layer = balanced(columns, local_rows)
        (result,) = cycles(layer, np.ones(columns, np.int16), config)
        overheads.add(result.cycles - columns * local_rows)
    assert max(overheads) < 40
    assert len(overheads) == 1, "the overhead does not grow with the work"


def test_zeros_cost_no_cycle():
    # Without room for a second inference, one COMPUTE takes all of the input.
    config = eie.ArrayConfig(num_pes=16, **ROOMY | {"activations": 2048})
    layer = balanced(1024, 2)
    a = np.zeros(1024, np.int16)
    a[::16] = 1
    (sparse,) = cycles(layer, a, config)
    (dense,) = cycles(balanced(64, 2), np.ones(64, np.int16), config)
    assert sparse.broadcasts == dense.broadcasts == 64
    assert abs(sparse.cycles - dense.cycles) <= 8


def test_a_deeper_queue_never_takes_longer():
    rng = np.random.default_rng(0)
    layer = eie.Layer.from_dense_codes(rng.random((512, 512)) < 0.1, np.r_[0, np.ones(15, int)])
    a = np.ones(512, np.int16)
    times = []
    for depth in (1, 2, 4, 8, 16):
        (result,) = cycles(layer, a, eie.ArrayConfig(num_pes=16, queue_depth=depth, **ROOMY))
        times.append(result.cycles)
    assert times == sorted(times, reverse=True)
    assert times[0] > 1.1 * times[-1]


def test_dropping_empty_columns_saves_their_cycles():
    layer = eie.Layer.from_dense_codes(np.eye(512, dtype=np.uint8), np.arange(16))
    a = np.ones(512, np.int16)
    keep = eie.ArrayConfig(num_pes=4, skip_empty=False, **ROOMY | {"rows": 128})
    (kept,) = cycles(layer, a, keep)
    (dropped,) = cycles(layer, a, dataclasses.replace(keep, skip_empty=True))
    assert dropped.cycles <= kept.cycles
    assert np.array_equal(kept.work, dropped.work)


def test_the_counters_of_a_timed_emulation_are_those_of_the_cycle_model():
    layer = balanced(64, 2)
    acc = eie.Accelerator(TimedDevice(eie.ArrayConfig(num_pes=16, **ROOMY)))
    a = np.ones((1, 64), np.int16)
    acc.run_raw(a, model=eie.Model([layer]))
    (result,) = cycles(layer, a, acc.config)
    assert acc.counters.cycles == result.cycles
    assert result.to_dict()["starved"] == acc.counters.starved.tolist()


@settings(max_examples=25, deadline=None)
@given(models(max_size=60), configs(pes=(1, 4, 16, 64)), st.integers(1, 3), st.integers(0, 2**32))
def test_the_layers_add_up_to_the_counters_of_the_whole_model(model, config, batch, seed):
    """Two ways to the same counts: from the encoded tiles, and from the instructions that a device executes."""
    a = activations(model, batch, seed)
    acc = eie.Accelerator(TimedDevice(config))
    acc.run_raw(a, model=model)
    layers = cycles(model, a, config)
    for name in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
        assert np.array_equal(sum(getattr(layer, name) for layer in layers), getattr(acc.counters, name)), name


def test_where_computes_overlap_a_cycle_belongs_to_the_one_that_came_first():
    config = eie.ArrayConfig(num_pes=16, **ROOMY)
    device = TimedDevice(config)
    eie.Accelerator(device).run_raw(np.ones((6, 64), np.int16), model=eie.Model([balanced(64, 2), balanced(32, 1)]))
    computes = [step for program in device.programs for step in program.steps if step.busiest]
    in_progress = [range(step.start - 1, step.end) for step in computes]
    assert any(first.stop > second.start for first, second in pairwise(in_progress)), "they overlap"
    owners = [min(i for i, cycles in enumerate(in_progress) if time in cycles) for time in set().union(*in_progress)]
    assert np.bincount(owners).tolist() == [step.cycles for step in computes]


def test_a_packed_model_is_timed_for_any_queue_and_refused_for_another_packing():
    config = eie.ArrayConfig(num_pes=16, **ROOMY)
    layer = balanced(64, 2)
    packed = pack(eie.Model([layer]), config)
    a = np.ones(64, np.int16)
    shallow = dataclasses.replace(config, queue_depth=1)
    assert cycles(packed, a)[0].cycles == cycles(layer, a, config)[0].cycles
    assert cycles(packed, a, shallow)[0].cycles == cycles(layer, a, shallow)[0].cycles
    with pytest.raises(PackError, match=r"num_pes=16.*num_pes=4"):
        cycles(packed, a, dataclasses.replace(config, num_pes=4))


def test_reads_and_waiting_columns_of_a_layer_worked_out_by_hand():
    """Column 0 has 3 entries on PE 0, column 1 has 2: in words of 4 entries, 1 word and 2 words."""
    codes = np.zeros((16, 4), np.uint8)
    codes[[0, 4, 8], 0] = codes[[0, 4], 1] = 1
    config = eie.ArrayConfig(num_pes=4, entries_per_word=4, balance_rows=False, **ROOMY)
    (result,) = cycles(eie.Layer.from_dense_codes(codes, np.arange(16)), np.array([1, 1, 1, 0], np.int16), config)
    assert result.word_reads.tolist() == [3, 0, 0, 0]
    assert result.pointer_reads.tolist() == [6] * 4
    # Column 0 waits the one cycle that the queue takes, column 1 arrives a cycle later and waits for its 3 entries.
    assert result.queued.tolist() == [1 + 3, 0, 0, 0]
    assert result.queue_occupancy[0] == 4 / result.cycles
