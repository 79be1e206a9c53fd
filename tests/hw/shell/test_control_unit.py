"""Instructions are fetched, checked and executed in order; loads overlap where no memory is shared."""

import random

import numpy as np
import pytest
import scripts
from array_model import array_model
from machine_bench import play, words_of
from programs import flit, header, payload, random_program

from eie import ArrayConfig
from eie.contract import isa, registers
from eie.contract.isa import ErrorCode
from eie.devices.emulation.device import EmulatedDevice

SMALL = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=4, activations=32, codebooks=3, entries_per_word=8)
CONFIGS = {
    "one PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=1),
    "two PEs": ArrayConfig(num_pes=2, entries=64, pointers=16, rows=16, activations=32, index_bits=4, queue_depth=4),
    "four PEs": SMALL,
    "128 bits": ArrayConfig(num_pes=32, entries=64, pointers=64, rows=4, activations=128, stream_bits=128),
    "256 bits": ArrayConfig(num_pes=64, entries=128, pointers=128, rows=4, activations=256, stream_bits=256),
    "wide beats": ArrayConfig(num_pes=8, entries=256, pointers=64, rows=8, activations=128, entries_per_word=16),
}
STATUS = registers.offset("status")
CONTROL = registers.offset("control")
INSTRUCTIONS = registers.offset("instructions")


def _emulate(config, *packets):
    device = EmulatedDevice(config)
    for packet in packets:
        device.send(packet)
    results = []
    while len(result := device.receive(1 << 30)):
        results.append(result)
    return device, results


def _until(bench, count):
    return ("wait", lambda: len(bench.packets) >= count)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pause", [0, 0.5])
def test_random_programs_give_what_the_emulation_gives(name, pause):
    config = CONFIGS[name]
    generator = random.Random(f"{name} {pause}")
    programs = [random_program(config, generator, 20) for _ in range(2)]
    device, expected = _emulate(config, *programs)

    def script(bench):
        for program in programs:
            yield ("send", words_of(program))
        yield _until(bench, len(expected))
        yield ("cycles", 10)
        for offset in (STATUS, INSTRUCTIONS):
            yield ("read", offset)

    bench = play(config, array_model(seed=7, slowest=30), script, pause=pause, seed=5)
    assert [p.tolist() for p in bench.packets] == [p.tolist() for p in expected]
    assert bench.reads == [registers.STATUS_IDLE, device.read_register(INSTRUCTIONS)]


def _mutate(config, generator):
    """Return a header word near the valid ones: random bits set in a random instruction's header."""
    instruction = generator.choice(isa.INSTRUCTIONS)
    word = header(config, instruction, generator)
    for _ in range(generator.choice((0, 1, 1, 2))):
        word ^= 1 << generator.randrange(64)
    return word


@pytest.mark.parametrize(("name", "seed"), [*(("four PEs", seed) for seed in range(4)), ("128 bits", 4)])
def test_headers_are_judged_as_the_instruction_set_says(name, seed):
    """Each header is sent alone, with its payload if it is good, and a soft reset follows."""
    config = CONFIGS[name]
    generator = random.Random(seed)
    words = [_mutate(config, generator) for _ in range(60)]
    if config.flit_words > 1:  # what only a flit of several words refuses: PEs that are not loaded together
        words += [isa.ENTRIES.encode(bank=0, pe=pe, address=0, count=1) for pe in range(4)]
    verdicts = []

    def script(bench):
        for word in words:
            instruction = isa.BY_OPCODE.get(word & isa.OPCODE_MASK)
            error = instruction.check(config, word) if instruction else ErrorCode.BAD_OPCODE
            verdicts.append(error)
            content = flit(config, word, generator)
            if error is ErrorCode.NONE:
                content += payload(config, instruction, word, generator)
            yield ("send", words_of(np.array(content, "<u8")))
            yield ("wait", lambda: not bench.outbox)
            yield ("cycles", 4)
            yield ("read", STATUS)
            yield ("write", CONTROL, registers.CONTROL_SOFT_RESET)

    bench = play(config, array_model(), script)
    assert [status >> registers.STATUS_ERROR_SHIFT for status in bench.reads] == verdicts
    assert len(set(verdicts)) >= 3
    if config.flit_words > 1:
        assert verdicts[-4:] == [ErrorCode.NONE, ErrorCode.BAD_FIELD] * 2


@pytest.mark.parametrize("pause", [0, 0.4])
def test_an_error_drains_the_input_and_a_soft_reset_makes_the_next_program_run(pause):
    script = scripts.error_script(SMALL, seed=2)
    script.check(scripts.play_in_myhdl(script, array_model(seed=3, slowest=20), pause, seed=2))


def test_a_soft_reset_in_the_middle_leaves_the_next_program_right():
    script = scripts.reset_script(SMALL, seed=9, resets=4)
    script.check(scripts.play_in_myhdl(script, array_model(seed=4, slowest=20), 0.2, seed=5))


def test_the_registers_serve_their_description():
    script = scripts.identity_script(SMALL)
    script.check(scripts.play_in_myhdl(script, array_model(), 0.3, seed=1))


def test_loads_run_beside_a_compute_that_does_not_use_them():
    """The next tile's load finishes before the COMPUTE of the other bank does."""
    log = []
    generator = random.Random(1)
    lead = [
        isa.COMPUTE.encode(bank=0, part=0, slot=0, pointers=0, address=0, count=1),
        header(SMALL, isa.ENTRIES, generator, bank=1, address=0, count=4),
    ]
    words = [*lead, *payload(SMALL, isa.ENTRIES, lead[1], generator)]
    words.append(isa.READ.encode(last=1, words=0, address=0, count=1))

    def script(bench):
        yield ("send", words_of(np.array(words, "<u8")))
        yield _until(bench, 1)

    play(SMALL, array_model(seed=1, slowest=2000, log=log), script)
    times = {event: cycle for cycle, event in log}
    assert times["start compute"] < times["load"] < times["end compute"]
    assert sum(event == "load" for _, event in log) == 4


def test_a_load_of_a_memory_in_use_waits_and_counts_as_stalled():
    log = []
    generator = random.Random(1)
    words = [isa.COMPUTE.encode(bank=0, part=0, slot=0, pointers=0, address=0, count=1)]
    load = header(SMALL, isa.ENTRIES, generator, bank=0, address=0, count=4)
    words += [load, *payload(SMALL, isa.ENTRIES, load, generator), isa.READ.encode(last=1, words=0, address=0, count=1)]

    def script(bench):
        yield ("cycles", 40)  # else the COMPUTE waits, too, for the array clears its accumulators
        yield ("send", words_of(np.array(words, "<u8")))
        yield _until(bench, 1)
        for name in ("cycles_low", "broadcasts_low", "stalled_low", "busy_low"):
            yield ("read", registers.offset(name))
        yield ("write", CONTROL, registers.CONTROL_CLEAR_COUNTERS)
        yield ("read", registers.offset("cycles_low"))

    bench = play(SMALL, array_model(seed=1, slowest=300, log=log), script)
    times = {event: cycle for cycle, event in log}
    assert times["end compute"] < times["load"]
    cycles, broadcasts, stalled, busy, cleared = bench.reads
    took = times["end compute"] - times["start compute"]
    assert took <= cycles <= took + 2
    assert broadcasts == took
    assert took - 10 < stalled <= took + 3
    assert busy > cycles + 4
    assert cleared == 0
