"""The array computes what the emulation computes, for every size, and loses no cycle where the work is balanced."""

import random
from dataclasses import replace

import numpy as np
import pytest
from machine_bench import play, words_of
from programs import flit, header, random_program

from eie import ArrayConfig
from eie.contract import isa, registers
from eie.contract.bits import pack_fields
from eie.devices.emulation.device import EmulatedDevice
from eie_hw.array.array import array

BASE = ArrayConfig(num_pes=4, entries=64, pointers=32, rows=8, activations=64, queue_depth=4)
CONFIGS = {
    "one PE": replace(BASE, num_pes=1, activations=32, pointers=16, banks=1, codebooks=1),
    "two PEs, as in the paper": replace(
        BASE, num_pes=2, pointers=16, index_bits=4, first_row=False, skip_empty=False, queue_depth=8
    ),
    "four PEs, queue 1": replace(BASE, queue_depth=1),
    "one row": replace(BASE, rows=1, entries=16, pointers=16, entries_per_word=4),
    "one entry a word": replace(BASE, entries=32, rows=4, entries_per_word=1, index_bits=12),
    "32 PEs, 128 bits": replace(
        BASE, num_pes=32, entries=32, rows=4, pointers=64, activations=256, queue_depth=2, stream_bits=128
    ),
    "sixteen PEs": replace(BASE, num_pes=16, entries=32, rows=4, pointers=64, activations=128, queue_depth=2),
}
QUICK = ("two PEs, as in the paper", "four PEs, queue 1", "one row")
COUNTS = ("work", "padding", "starved", "blocked")


def _filled(config, generator):
    """Return instructions that load every memory with random contents."""
    words = []
    loads = [(isa.CODEBOOK, {"slot": s}) for s in range(config.codebooks)]
    for bank in range(config.banks):
        loads.append((isa.POINTERS, {"bank": bank, "address": 0, "count": config.pointer_pairs}))
        loads += [
            (isa.ENTRIES, {"bank": bank, "pe": pe, "address": 0, "count": config.entry_words})
            for pe in range(0, config.num_pes, config.flit_words)
        ]
    loads += [
        (isa.BIAS, {"address": 0, "count": config.rows}),
        (isa.SCALE, {"address": 0, "count": config.rows}),
        (isa.ACTIVATIONS, {"address": 0, "count": config.activation_groups}),
    ]
    for instruction, values in loads:
        word = instruction.encode(**values)
        count = instruction.payload_words(config, values)
        words += [*flit(config, word, generator), *(generator.getrandbits(64) for _ in range(count))]
    return np.array(words, "<u8").view(np.uint8)


def _run(config, packets, pause=0.0):
    """Return the machine's packets and, by PE, its counters; also the register `cycles`."""
    device = EmulatedDevice(config)
    expected = []
    for packet in packets:
        device.send(packet)
    while len(result := device.receive(1 << 30)):
        expected.append(result.tolist())

    def script(bench):
        for packet in packets:
            yield ("send", words_of(packet))
        yield ("wait", lambda: len(bench.packets) >= len(expected))
        yield ("cycles", 5)
        yield ("read", registers.offset("cycles_low"))
        yield ("read", registers.offset("broadcasts_low"))
        yield ("read", registers.offset("saturated_low"))
        for pe in range(config.num_pes):
            for counter in COUNTS:
                yield ("read", registers.counter_offset(pe, counter))

    bench = play(config, array, script, pause=pause, seed=1)
    assert [packet.tolist() for packet in bench.packets] == expected
    cycles, broadcasts, saturated, *rest = bench.reads
    counters = [dict(zip(COUNTS, rest[i : i + 4], strict=True)) for i in range(0, len(rest), 4)]
    assert broadcasts == device.read_register(registers.offset("broadcasts_low"))
    assert saturated == device.read_register(registers.offset("saturated_low"))
    for pe, counted in enumerate(counters):
        for counter in ("work", "padding"):
            assert counted[counter] == device.read_register(registers.counter_offset(pe, counter))
        assert counted["work"] + counted["padding"] + counted["starved"] == cycles
    return cycles, counters


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.full) for n in CONFIGS])
def test_random_programs_give_what_the_emulation_gives(name):
    config = CONFIGS[name]
    generator = random.Random(name)
    work = [header(config, instruction, generator) for instruction in (isa.COMPUTE, isa.STORE, isa.COMPUTE, isa.STORE)]
    working = np.array([flit(config, word, generator) for word in work], "<u8").ravel()
    parts = [_filled(config, generator), working.view(np.uint8), random_program(config, generator, 6)]
    programs = [np.concatenate(parts), random_program(config, generator, 10)]
    cycles, counters = _run(config, programs, pause=0.1)
    assert cycles > 0
    assert sum(counted["work"] for counted in counters) > 0


def _layer(config, lengths, activations):
    """Return a program of one COMPUTE: `lengths` (columns, N) entries of code 1 for each column and PE."""
    columns, num_pes = lengths.shape
    words = [isa.CODEBOOK.encode(slot=0), 0x0002_0000, 0, 0, 0]
    starts = np.zeros((columns + 1, num_pes), np.int64)
    np.cumsum(lengths, axis=0, out=starts[1:])
    pairs = columns // 2 + 1
    padded = np.zeros((2 * pairs, num_pes), np.int64)
    padded[: columns + 1] = starts
    # A beat has the pointers of two PEs: even and odd of the one, even and odd of the other.
    fields = padded.reshape(pairs, 2, num_pes // 2, 2).transpose(0, 2, 3, 1).reshape(-1, 4).astype(np.uint32)
    payload = pack_fields(fields, config.pointer_bits, config.beat_bytes)
    words.append(isa.POINTERS.encode(bank=0, address=0, count=pairs))
    words += _stream_words(payload)
    for pe in range(num_pes):
        entry_words = max(1, -(-int(starts[-1, pe]) // config.entries_per_word))
        ones = np.ones((entry_words, config.entries_per_word), np.uint32)
        words.append(isa.ENTRIES.encode(bank=0, pe=pe, address=0, count=entry_words))
        words += _stream_words(pack_fields(ones, config.entry_bits, config.beat_bytes))
    groups = columns // config.lanes
    words.append(isa.ACTIVATIONS.encode(address=0, count=groups))
    words += activations.astype("<i2").view("<u8").tolist()
    words.append(isa.COMPUTE.encode(bank=0, part=0, slot=0, pointers=0, address=0, count=groups))
    words.append(isa.READ.encode(last=1, words=0, address=0, count=1))
    return np.array(words, "<u8").view(np.uint8)


def _stream_words(payload):
    flat = payload.ravel()
    return np.pad(flat, (0, -len(flat) % 8)).view("<u8").tolist()


@pytest.mark.parametrize("queue_depth", [2, pytest.param(8, marks=pytest.mark.full)])
def test_balanced_work_takes_a_cycle_an_entry_and_a_constant(queue_depth):
    config = ArrayConfig(num_pes=4, entries=128, pointers=128, rows=4, activations=64, queue_depth=queue_depth)
    generator = np.random.default_rng(1)
    columns = 60
    activations = np.ones(columns, np.int16)
    lengths = np.repeat(generator.integers(1, 4, (columns, 1)), 4, axis=1)
    cycles, counters = _run(config, [_layer(config, lengths, activations)])
    assert counters[0]["work"] == lengths[:, 0].sum()
    assert cycles <= lengths[:, 0].sum() + 32


def test_a_zero_costs_no_cycle():
    """Few non-zeros, one entry each: the cycles follow the non-zeros, not the columns."""
    config = ArrayConfig(num_pes=4, entries=256, pointers=256, rows=4, activations=256)
    columns = 240
    activations = np.zeros(columns, np.int16)
    activations[::16] = 5
    cycles, _ = _run(
        config, [_layer(config, np.ones((columns, 4), np.int64) * (activations[:, None] != 0), activations)]
    )
    assert cycles <= columns // 16 + 32


def test_a_slow_element_holds_the_broadcast_back():
    """One PE has all the work: the others starve and its queue blocks, not theirs."""
    config = ArrayConfig(num_pes=4, entries=256, pointers=128, rows=4, activations=64, queue_depth=2)
    columns = 40
    lengths = np.zeros((columns, 4), np.int64)
    lengths[:, 2] = 6
    cycles, counters = _run(config, [_layer(config, lengths, np.ones(columns, np.int16))])
    assert counters[2]["work"] == 6 * columns
    assert counters[2]["blocked"] > 100
    assert all(counters[pe]["blocked"] == 0 and counters[pe]["starved"] == cycles for pe in (0, 1, 3))
