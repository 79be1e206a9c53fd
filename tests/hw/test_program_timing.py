"""The model of whole programs, loads beside computing, equals the hardware's counters, cycle for cycle."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import layers

import eie
from eie.cycle_model.timed_device import TimedDevice

CONFIGS = {
    "4 PEs": eie.ArrayConfig(num_pes=4, entries=1024, pointers=256, rows=16, activations=512),
    "4 PEs, one bank": eie.ArrayConfig(num_pes=4, entries=256, pointers=128, rows=16, activations=256, banks=1),
    "1 PE": eie.ArrayConfig(num_pes=1, entries=1024, pointers=256, rows=64, activations=512),
    "16 PEs": eie.ArrayConfig(num_pes=16, queue_depth=4),
    "32 PEs, 128 bits": eie.ArrayConfig(
        num_pes=32, entries=256, pointers=128, rows=16, activations=1024, stream_bits=128
    ),
    "64 PEs": eie.ArrayConfig(),
    "64 PEs, 256 bits": eie.ArrayConfig(
        num_pes=64, entries=64, pointers=128, rows=16, activations=1024, stream_bits=256
    ),
}
_QUICK = ("4 PEs", "32 PEs, 128 bits")


@st.composite
def networks(draw):
    """One to three layers; on the arrays of few PEs some stay resident, some are streamed, some are in segments."""
    widths = draw(st.lists(st.integers(1, 250), min_size=2, max_size=4))
    return eie.Model([draw(layers(rows, columns)) for columns, rows in itertools.pairwise(widths)])


def counters(accelerator, network, activations):
    """Return what a batch costs; the array is idle before."""
    accelerator.load(network)
    _ = accelerator.counters
    accelerator.clear_counters()
    outputs = accelerator.run_raw(activations)
    return outputs, accelerator.counters


@pytest.mark.parametrize("name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.full) for n in CONFIGS])
def test_the_model_of_programs_equals_the_hardware(name):
    hardware = eie.Accelerator(eie.RtlDevice(CONFIGS[name]))
    model = eie.Accelerator(TimedDevice(CONFIGS[name]))
    resident = set()

    @settings(max_examples=40, deadline=None)
    @given(networks(), st.integers(1, 6), st.integers(0, 2**32), st.sampled_from((0.0, 0.05, 0.35, 1.0)))
    def check(network, batch, seed, density):
        rng = np.random.default_rng(seed)
        a = rng.integers(-32768, 32768, (batch, network.columns)) * (rng.random((batch, network.columns)) < density)
        results = [counters(accelerator, network, a.astype(np.int16)) for accelerator in (hardware, model)]
        (outputs, measured), (modelled_outputs, modelled) = results
        assert np.array_equal(outputs, modelled_outputs)
        assert modelled.busy == measured.busy
        assert modelled.stalled == measured.stalled
        assert modelled.cycles == measured.cycles
        assert modelled.start == measured.start
        assert modelled.drain == measured.drain
        assert modelled.saturated == measured.saturated
        reasons = measured.starvation
        assert reasons.broadcast >= 0 and modelled.starvation.broadcast == reasons.broadcast
        assert np.array_equal(reasons.start + reasons.drain + reasons.broadcast + reasons.imbalance, measured.starved)
        resident.add(hardware.loaded[network].resident)

    check()
    assert name in ("16 PEs", "64 PEs") or resident == {True, False}, "resident and streamed networks were compared"


@pytest.mark.full
@pytest.mark.parametrize("bytes_per_cycle", [6.0, 4.0])
def test_a_slower_dma_costs_what_the_model_says_within_two_percent(bytes_per_cycle):
    config = CONFIGS["4 PEs"]
    pause = 1 - bytes_per_cycle / 8
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 16, (200, 300)) * (rng.random((200, 300)) < 0.3)
    network = eie.Model([eie.Layer.from_dense_codes(codes, np.arange(16), shift=6, relu=True)])
    a = (rng.integers(1, 999, (4, 300)) * (rng.random((4, 300)) < 0.35)).astype(np.int16)
    # A pause ends before each word with this probability, so a word takes 1 / (1 - pause) cycles on average.
    _, measured = counters(eie.Accelerator(eie.RtlDevice(config, source_pause=pause, seed=1)), network, a)
    _, modelled = counters(eie.Accelerator(TimedDevice(config, bytes_per_cycle)), network, a)
    assert abs(modelled.busy / measured.busy - 1) < 0.02
