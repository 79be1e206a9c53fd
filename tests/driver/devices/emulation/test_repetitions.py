"""Batches of one program run at once, and give what its inferences one by one give, whatever came in between."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.contract import isa, registers
from eie.devices.emulation.repetitions import Decoded, Unit
from eie.program.packing import pack
from tests.instructions import instructions_of
from tests.strategies import activations, configs, models

PES = (1, 4, 16, 64)


def split(program, config):
    """Return the instructions of a program, each with its words."""
    return ((instruction, program[part]) for instruction, _, part in instructions_of(program, config))


@st.composite
def transfers(draw):
    """Return an array and what is sent to it: batches of two models in turn, loaded again or not, some with a hole."""
    config = draw(configs(pes=PES))
    packed = [pack(draw(models(max_layers=2, max_size=25)), config) for _ in range(2)]
    sent = []
    loaded = None
    for _ in range(draw(st.integers(2, 5))):
        chosen = draw(st.integers(0, 1))
        program = packed[chosen]
        if loaded != chosen or draw(st.booleans()):
            sent.append([part for _, part in split(program.weights, config)])
            loaded = chosen
        segment = program.segments[0]
        batch = draw(st.integers(1, 6))
        words = np.zeros(segment.words(batch), np.uint64)
        segment.fill(activations(program.model, batch, draw(st.integers(0, 1 << 32)))[:, : segment.columns], words)
        dropped = draw(st.sampled_from((None, None, None, isa.STORE, isa.ACTIVATIONS, isa.COMPUTE)))
        sent.append([part for instruction, part in split(words, config) if instruction is not dropped])
    return config, [parts for parts in sent if parts]


@settings(max_examples=25, deadline=None)
@given(transfers())
def test_transfers_give_what_their_instructions_one_by_one_give(case):
    config, sent = case
    together, apart = eie.EmulatedDevice(config), eie.EmulatedDevice(config)
    for parts in sent:
        together.send(np.concatenate(parts).view(np.uint8))
        for part in parts:
            apart.send(np.ascontiguousarray(part).view(np.uint8))
        assert np.array_equal(together.receive(1 << 30), apart.receive(1 << 30))
    for name in ("instructions", "error_index", "status", "broadcasts_low"):
        assert together.read_register(registers.offset(name)) == apart.read_register(registers.offset(name))
    for pe in range(config.num_pes):
        for counter in ("work", "padding"):
            offset = registers.counter_offset(pe, counter)
            assert together.read_register(offset) == apart.read_register(offset)


def test_sums_that_no_store_takes_are_kept_although_the_first_inputs_are_zeros():
    config = eie.ArrayConfig(num_pes=4)
    packed = pack(eie.Model([eie.Layer.from_dense_codes(np.eye(8) * 3, np.r_[0, np.arange(1, 16)])]), config)
    (segment,) = packed.segments
    words = np.zeros(segment.words(1), np.uint64)
    segment.fill(np.full((1, 8), 5, np.int16), words)
    whole = dict(split(words, config))
    load, zeros = whole[isa.ACTIVATIONS], whole[isa.ACTIVATIONS].copy()
    zeros[1:] = 0
    groups = {name: isa.ACTIVATIONS.decode(int(load[0]))[name] for name in ("address", "count")}
    read = np.array([isa.READ.encode(last=0, words=0, **groups)], np.uint64)
    first, other = ([part, whole[isa.COMPUTE], read] for part in (zeros, load))
    together, apart = eie.EmulatedDevice(config), eie.EmulatedDevice(config)
    for parts in ([packed.weights], first + other + other, [whole[isa.STORE], whole[isa.READ]]):
        together.send(np.concatenate(parts).view(np.uint8))
        for part in parts:
            apart.send(np.ascontiguousarray(part).view(np.uint8))
    outputs = together.receive(1 << 30)
    assert np.array_equal(outputs, apart.receive(1 << 30)) and outputs[-16:].any()


def test_a_program_that_is_known_is_not_run_alone_again():
    config = eie.ArrayConfig(num_pes=4)
    layer = eie.Layer.from_dense_codes(np.eye(8) * 3, np.r_[0, np.arange(1, 16)])
    packed = pack(eie.Model([layer]), config)
    (segment,) = packed.segments
    device = eie.EmulatedDevice(config)
    device.send(packed.weights.view(np.uint8))
    alone = []
    run_alone = device._run_until_repeated
    device._run_until_repeated = lambda words, start: alone.append(start) or run_alone(words, start)
    for batch in (8, 8, 5 * segment.inferences, 40):
        a = np.arange(batch * 8).reshape(batch, 8).astype(np.int16)
        words = np.zeros(segment.words(batch), np.uint64)
        segment.fill(a, words)
        device.send(words.view(np.uint8))
        assert np.array_equal(segment.unpack(device.receive(1 << 20), batch), eie.reference(packed.model, a))
    assert alone == [0]


def unit():
    header = isa.ACTIVATIONS.encode(address=0, count=1)
    words = np.array([header, 7, isa.READ.encode(last=0, words=0, address=0, count=1)], np.uint64)
    values = isa.ACTIVATIONS.decode(header)
    read = Decoded(isa.READ, isa.READ.decode(int(words[2])), slice(3, 3))
    return words, Unit.copied(words, [Decoded(isa.ACTIVATIONS, values, slice(1, 2)), read], 0)


def test_repetitions_are_counted_up_to_the_one_that_ends_a_packet():
    words, found = unit()
    other, last, store = words.copy(), words.copy(), words.copy()
    other[1], last[2] = 99, isa.READ.encode(last=1, words=0, address=0, count=1)
    store[2] = isa.READ.encode(last=0, words=0, address=1, count=1)
    assert found.count(np.concatenate([words, other, last, words])) == (3, True)
    assert found.count(np.concatenate([words, other, store, words])) == (2, False)
    assert found.count(np.concatenate([last, words])) == (1, True)
    assert found.count(np.concatenate([words, other[:2]])) == (1, False)
    assert found.count(store) == (0, False)
    assert found.count(words[:2]) == (0, False)
