"""The cycle model equals the counters of the hardware, cycle for cycle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.strategies import activations, configs, layers, models

import eie
from eie.boards.board import board
from eie.cycle_model.timed_device import TimedDevice

SMALL = eie.ArrayConfig(num_pes=4, entries=1024, pointers=256, rows=16, activations=512)
CONFIGS = {
    "4 PEs": SMALL,
    "4 PEs, the paper's way": eie.ArrayConfig(
        num_pes=4, queue_depth=2, index_bits=4, entries=4096, pointers=512, rows=16, first_row=False, skip_empty=False
    ),
    "4 PEs, UltraRAM": eie.ArrayConfig(
        num_pes=4, entries=1024, pointers=258, rows=16, activations=512, first_row=False, ultra_ram=True
    ),
    "1 PE": eie.ArrayConfig(num_pes=1, entries=1024, pointers=256, rows=64, activations=512),
    "16 PEs": eie.ArrayConfig(num_pes=16, queue_depth=4),
    "64 PEs": eie.ArrayConfig(),
}
_QUICK = ("4 PEs",)


@pytest.mark.parametrize("name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.full) for n in CONFIGS])
def test_the_cycle_model_equals_the_hardware(name):
    config = CONFIGS[name]
    hardware = eie.Accelerator(eie.RtlDevice(config))
    model = eie.Accelerator(TimedDevice(config))

    @settings(max_examples=60, deadline=None)
    @given(layers(max_size=300), st.integers(0, 2**32), st.sampled_from((0.0, 0.02, 0.2, 0.6, 1.0)))
    def check(layer, seed, density):
        rng = np.random.default_rng(seed)
        a = (rng.integers(-32768, 32768, (2, layer.columns)) * (rng.random((2, layer.columns)) < density)).astype(
            np.int16
        )
        network = eie.Model([layer])
        counters = []
        for accelerator in (hardware, model):
            accelerator.clear_counters()
            assert np.array_equal(accelerator.run_raw(a, model=network), eie.reference(network, a))
            counters.append(accelerator.counters)
        for name in ("cycles", "broadcasts", "start", "drain", "saturated", "work", "padding", "starved", "blocked"):
            assert np.array_equal(getattr(counters[0], name), getattr(counters[1], name)), name

    check()


@pytest.mark.full
@settings(max_examples=12, deadline=None, derandomize=True, phases=[Phase.generate])
@given(configs(pes=(1, 2, 4, 8)), st.data())
def test_any_array_takes_the_cycles_that_the_model_says(config, data):
    """Arrays of any parameters, each built; on each of them models of several layers, of any shape."""
    with eie.Accelerator(eie.RtlDevice(config)) as hardware:
        for _ in range(8):
            model = data.draw(models(max_size=120))
            a = activations(model, 2, data.draw(st.integers(0, 2**32)), data.draw(st.sampled_from((0.05, 0.5, 1.0))))
            hardware.clear_counters()
            assert np.array_equal(hardware.run_raw(a, model=model), eie.reference(model, a))
            counted, expected = hardware.counters, eie.cycles(model, a, config)
            for name in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
                assert np.array_equal(getattr(counted, name), sum(getattr(e, name) for e in expected)), name


@pytest.mark.full
def test_four_pes_with_the_memories_of_a_kv260_keep_their_share_of_a_large_layer():
    """AlexNet's FC7 as four of 64 PEs have it: 64 rows a PE, 4,096 columns in two tiles, both to the last pointer."""
    config = dataclasses.replace(board("kv260").config, num_pes=4, stream_bits=64)
    rng = np.random.default_rng(1)
    codes = rng.integers(1, 16, (256, 4096)) * (rng.random((256, 4096)) < 0.09)
    layer = eie.Layer.from_dense_codes(
        codes, np.r_[0, rng.integers(-3000, 3000, 15)], bias=np.zeros(256, int), shift=15
    )
    model = eie.Model([layer])
    a = (rng.integers(-300, 300, (2, 4096)) * (rng.random((2, 4096)) < 0.353)).astype(np.int16)
    assert eie.pack(model, config).resident
    (expected,) = eie.cycles(model, a, config)
    assert expected.utilisation >= 0.95
    with eie.Accelerator(eie.RtlDevice(config)) as hardware:
        assert np.array_equal(hardware.run_raw(a, model=model), eie.reference(model, a))
        for name in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
            assert np.array_equal(getattr(hardware.counters, name), getattr(expected, name)), name
