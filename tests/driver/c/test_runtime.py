"""The C runtime computes what the Python driver computes, on every processor, whatever the model and the board."""

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.boards.board import board
from eie.contract.fixed_point import quantise
from eie.devices.virtual import VirtualBoard
from eie.program.together import pack_together
from tests.driver.c.bridge import Runtime
from tests.pynq.networks import CONFIG, inputs, model, streamed_model
from tests.strategies import activations, configs, models

BOARD = board("pynq-z2")
SMALL = dataclasses.replace(BOARD, config=CONFIG)


def check(command, networks, described, batches=(1, 2, 5), memory_bytes=1 << 20, executor=None):
    with Runtime(command, VirtualBoard(described, executor), memory_bytes) as runtime:
        assert runtime.open() == (0, "")
        assert runtime.pack(networks, described.config) == (0, "")
        for batch in batches:
            for number, network in enumerate(networks):
                a = activations(network, batch, seed=batch)
                status, message, y = runtime.run(a, number)
                assert (status, message) == (0, "")
                assert np.array_equal(y, eie.reference(network, a))


def test_outputs_are_those_of_the_reference_on_every_processor(command):
    check(command, [model()], SMALL)


def test_models_that_fit_together_stay_and_take_turns_whatever_the_codebooks(command):
    roomy = dataclasses.replace(SMALL, config=dataclasses.replace(CONFIG, entries=2048, pointers=1024, rows=64))
    check(command, [model(seed) for seed in range(6)], roomy)


def test_models_that_do_not_fit_together_are_sent_when_it_is_their_turn(command):
    check(command, [model(0), streamed_model(), model(2)], SMALL)


def test_beside_models_that_stay_the_others_take_turns(here):
    """Weights are sent once of those that stay, and of the others whenever another has run: from the DMA's memory, or
    from the file where that is small."""
    config = dataclasses.replace(CONFIG, rows=64, pointers=512, entries=2048, banks=1)
    networks = [model(seed) for seed in range(7)]
    stay = [stays for _, stays in pack_together(networks, config)]
    assert {*stay} == {True, False} and stay.count(False) >= 2
    for memory_bytes in (1 << 20, 1 << 14):
        check(here, networks, dataclasses.replace(SMALL, config=config), (1, 3, 1), memory_bytes)


@settings(max_examples=3)
@given(st.lists(models(max_layers=3), min_size=1, max_size=3), configs(), st.integers(14, 17))
def test_any_models_on_any_array_and_memory(here, networks, config, memory_bits):
    described = dataclasses.replace(SMALL, config=config)
    with Runtime(here, VirtualBoard(described), 1 << memory_bits) as runtime:
        assert runtime.open()[0] == 0
        status, message = runtime.pack(networks, config)
        if status:
            assert "bytes of DMA memory; the platform gives" in message
            return
        for number in (*range(len(networks)), 0):
            for batch in (1, 40) if number else (3,):
                a = activations(networks[number], batch, seed=batch)
                status, message, y = runtime.run(a, number)
                assert (status, message) == (0, "")
                assert np.array_equal(y, eie.reference(networks[number], a))


def test_on_the_simulated_hardware_outputs_and_counters_are_the_emulations(here):
    pytest.importorskip("eie_hw")
    from eie.errors import MissingExtraError

    try:
        hardware = eie.RtlDevice(BOARD.config)
    except MissingExtraError as error:
        pytest.skip(str(error))
    network, counted = model(), []
    a = inputs(network, 7)
    for executor in (hardware, eie.EmulatedDevice(BOARD.config)):
        with Runtime(here, VirtualBoard(BOARD, executor)) as runtime:
            assert runtime.open()[0] == 0
            assert runtime.pack([network], BOARD.config)[0] == 0
            assert runtime.command(b"k")[0] == 0
            _, _, y = runtime.run(a)
            assert np.array_equal(y, eie.reference(network, a))
            whole = struct.unpack("<4Q", runtime.command(b"c")[2])
            each = [struct.unpack("<4I", runtime.command(b"p", pe)[2])[:2] for pe in range(BOARD.config.num_pes)]
            counted.append((whole[1], each))
            status, message, _ = runtime.command(b"p", BOARD.config.num_pes)
            assert status and "there is no such PE" in message
    assert counted[0] == counted[1]
    assert whole[1] > 0


@settings(max_examples=10)
@given(st.integers(-20, 30), st.integers(0, 2**32), st.booleans())
def test_floats_are_quantised_as_by_the_python_driver(here, bits, seed, ties):
    layer = dataclasses.replace(model().layers[0], input_fraction_bits=bits, output_fraction_bits=7 - bits)
    network = eie.Model([layer])
    rng = np.random.default_rng(seed)
    scale = 2.0 ** rng.integers(-bits - 2, 18 - bits)
    x = rng.standard_normal((3, network.columns)).astype(np.float32) * np.float32(scale)
    if ties:
        x = (np.round(x * 2.0 ** (bits + 1)) / 2.0 ** (bits + 1)).astype(np.float32)
    a = quantise(x, bits)
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open()[0] == 0
        assert runtime.pack([network], CONFIG)[0] == 0
        y, raw = runtime.run(x)[2], runtime.run(a)[2]
        inputs_at_ends, outputs_at_ends = struct.unpack("<4I", runtime.command(b"s")[2])[2:]
    assert np.array_equal(raw, eie.reference(network, a))
    assert np.array_equal(y, raw.astype(np.float32) * np.float32(2.0 ** (bits - 7)))
    assert inputs_at_ends == np.count_nonzero((a == 32767) | (a == -32768))
    assert outputs_at_ends == np.count_nonzero((raw == 32767) | (raw == -32768))


def test_one_float_at_or_beyond_an_end_is_rounded_and_counted_on_every_processor(command):
    network = model()
    step = 2.0**-network.input_fraction_bits
    near = np.concatenate([end + np.arange(-2, 2.25, 0.25) for end in (-32768.0, 0.0, 32767.0)])
    values = np.float32([*near, *(sign * size for sign in (1, -1) for size in (65536, 1e9, 1e30, np.inf))]) * step
    x = np.zeros((len(values), network.columns), np.float32)
    x[np.arange(len(values)), np.arange(len(values)) % network.columns] = values
    a = quantise(x, network.input_fraction_bits)
    with Runtime(command, VirtualBoard(SMALL)) as runtime:
        assert runtime.open()[0] == 0
        assert runtime.pack([network], CONFIG)[0] == 0
        y = runtime.run(x)[2]
        counted = struct.unpack("<4I", runtime.command(b"s")[2])[2]
    expected = eie.reference(network, a) * np.float32(2.0 ** -network.layers[-1].output_fraction_bits)
    assert np.array_equal(y, expected)
    assert counted == np.count_nonzero((a == 32767) | (a == -32768))


def test_nan_is_refused_in_any_place_and_the_next_run_is_right(here):
    network = model()
    x = np.zeros((60, network.columns), np.float32)
    with Runtime(here, VirtualBoard(SMALL), 1 << 13) as runtime:
        assert runtime.open()[0] == 0
        assert runtime.pack([network], CONFIG)[0] == 0
        for place in (0, -1):
            bad = x.copy()
            bad[place, place] = np.nan
            status, message, _ = runtime.run(bad)
            assert (status, message) == (2, "activations hold NaN; an int16 has no value for it")
            a = quantise(x, network.input_fraction_bits)
            assert np.array_equal(runtime.run(a)[2], eie.reference(network, a))


def test_models_are_found_by_name(here):
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open()[0] == 0
        runtime.models = [model()]
        status, message, _ = runtime.run(inputs(model(), 1))
        assert status == 2 and message == "there is no model 0; the loaded file has 0: load one with eie_load"
        assert runtime.pack([model(), streamed_model()], CONFIG)[0] == 0
        for number, network in enumerate(runtime.models):
            name = network.name.encode()
            found = struct.unpack("<3I", runtime.command(b"m", len(name), data=name)[2])
            assert found == (number, network.columns, network.layers[-1].rows)
        assert struct.unpack("<3I", runtime.command(b"m", 1, data=b"?")[2])[0] == 2**32 - 1
