"""Instructions are fetched, checked and executed in order; loads overlap where no memory is shared."""

import random

import numpy as np
import pytest
from array_model import array_model
from eie import ArrayConfig, isa, registers
from eie.emulation import EmulatedDevice
from eie.isa import ErrorCode
from machine_bench import play, words_of
from programs import header, payload, random_program

SMALL = ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64, codebooks=3, entries_per_word=8)
CONFIGS = {
    "one PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=1),
    "two PEs": ArrayConfig(num_pes=2, entries=64, pointers=16, rows=16, activations=32, index_bits=4, queue_depth=4),
    "four PEs": SMALL,
    "wide beats": ArrayConfig(num_pes=8, entries=256, pointers=64, rows=8, activations=128, entries_per_word=16),
}
STATUS = registers.offset("status")
CONTROL = registers.offset("control")
ERROR_INDEX = registers.offset("error_index")
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
    programs = [random_program(config, generator, 20) for _ in range(3)]
    device, expected = _emulate(config, *programs)

    def script(bench):
        for program in programs:
            yield ("send", words_of(program))
        yield _until(bench, len(expected))
        yield ("cycles", 10)
        for offset in (STATUS, INSTRUCTIONS):
            yield ("read", offset)

    bench = play(config, array_model(seed=7), script, pause=pause, seed=5)
    assert [p.tolist() for p in bench.packets] == [p.tolist() for p in expected]
    assert bench.reads == [registers.STATUS_IDLE, device.read_register(INSTRUCTIONS)]


def _mutate(generator):
    """Return a header word near the valid ones: random bits set in a random instruction's header."""
    instruction = generator.choice(isa.INSTRUCTIONS)
    word = header(SMALL, instruction, generator)
    for _ in range(generator.choice((0, 1, 1, 2))):
        word ^= 1 << generator.randrange(64)
    return word


@pytest.mark.parametrize("seed", range(4))
def test_headers_are_judged_as_the_instruction_set_says(seed):
    """Each header is sent alone, with its payload if it is good, and a soft reset follows."""
    generator = random.Random(seed)
    words = [_mutate(generator) for _ in range(60)]
    verdicts = []

    def script(bench):
        for word in words:
            instruction = isa.BY_OPCODE.get(word & isa.OPCODE_MASK)
            error = instruction.check(SMALL, word) if instruction else ErrorCode.BAD_OPCODE
            verdicts.append(error)
            content = [word]
            if error is ErrorCode.NONE:
                content += payload(SMALL, instruction, word, generator)
            yield ("send", words_of(np.array(content, "<u8")))
            yield ("wait", lambda: not bench.outbox)
            yield ("cycles", 4)
            yield ("read", STATUS)
            yield ("write", CONTROL, registers.CONTROL_SOFT_RESET)

    bench = play(SMALL, array_model(), script)
    assert [status >> registers.STATUS_ERROR_SHIFT for status in bench.reads] == verdicts
    assert len(set(verdicts)) >= 3


def _with_error(code, generator):
    """Return the words of a packet whose third instruction has the error."""
    config = SMALL
    good = random_program(config, generator, 2, read_all=False)
    words = words_of(good)
    words[-1] = (*words[-1][:2], False)
    load = header(config, isa.ACTIVATIONS, generator, count=2)
    content = payload(config, isa.ACTIVATIONS, load, generator)
    if code is ErrorCode.BAD_OPCODE:
        words += [(0x7F, 0xFF, False)]
    elif code is ErrorCode.BAD_FIELD:
        words += [(isa.READ.encode(last=0, address=0, count=0), 0xFF, False)]
    elif code is ErrorCode.OUT_OF_RANGE:
        words += [(isa.READ.encode(last=0, address=config.activation_groups, count=1), 0xFF, False)]
    elif code is ErrorCode.TRUNCATED:
        return words + [(w, 0xFF, i == 1) for i, w in enumerate([load, content[0]])]
    elif code is ErrorCode.BAD_KEEP:
        words += [(load, 0xFF, False), (content[0], 0x0F, False), *((w, 0xFF, False) for w in content[1:])]
    return words + words_of(random_program(config, generator, 3))


ERRORS = [code for code in ErrorCode if code is not ErrorCode.NONE]


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: code.name)
@pytest.mark.parametrize("pause", [0, 0.4])
def test_an_error_drains_the_input_and_a_soft_reset_makes_the_next_program_run(code, pause):
    generator = random.Random(code)
    bad = _with_error(code, generator)
    after = random_program(SMALL, generator, 4)
    good = random_program(SMALL, generator, 15)
    fill = np.concatenate([_fill(SMALL, generator), good])
    _, expected = _emulate(SMALL, fill)
    at = {}

    def script(bench):
        yield ("write", registers.offset("interrupt_enable"), 1)
        yield ("send", bad)
        yield ("send", words_of(after))
        yield ("wait", lambda: not bench.outbox)
        yield ("cycles", 200)
        at["interrupt"] = bench.interrupt()
        for offset in (STATUS, ERROR_INDEX):
            yield ("read", offset)
        yield ("write", CONTROL, registers.CONTROL_CLEAR_INTERRUPT)
        yield ("read", STATUS)
        yield ("write", CONTROL, registers.CONTROL_SOFT_RESET)
        yield ("drop",)
        yield ("send", words_of(fill))
        yield _until(bench, 1)
        yield ("cycles", 5)
        yield ("read", STATUS)

    bench = play(SMALL, array_model(seed=3), script, pause=pause, seed=2)
    error = code << registers.STATUS_ERROR_SHIFT | registers.STATUS_IDLE
    assert at["interrupt"]
    assert bench.reads == [error | registers.STATUS_INTERRUPT, 2, error, registers.STATUS_IDLE]
    assert [p.tolist() for p in bench.packets] == [p.tolist() for p in expected]


def _fill(config, generator):
    """Return instructions that write every memory, so that nothing of an earlier program is left."""
    words = []
    full = {
        isa.CODEBOOK: [{"slot": s} for s in range(config.codebooks)],
        isa.POINTERS: [{"bank": b, "address": 0, "count": config.pointer_pairs} for b in range(config.banks)],
        isa.ENTRIES: [
            {"bank": b, "pe": p, "address": 0, "count": config.entry_words}
            for b in range(config.banks)
            for p in range(config.num_pes)
        ],
        isa.BIAS: [{"address": 0, "count": config.rows}],
        isa.ACTIVATIONS: [{"address": 0, "count": config.activation_groups}],
    }
    for instruction, cases in full.items():
        for values in cases:
            word = instruction.encode(**values)
            words += [word, *payload(config, instruction, word, generator)]
    return np.array(words, "<u8").view(np.uint8)


def test_a_soft_reset_in_the_middle_leaves_the_next_program_right():
    generator = random.Random(9)
    first = np.concatenate([_fill(SMALL, generator), random_program(SMALL, generator, 20)])
    second = np.concatenate([_fill(SMALL, generator), random_program(SMALL, generator, 20)])
    _, expected = _emulate(SMALL, second)
    length = len(words_of(first))
    for stop in (1, 2, 3, length // 2, length - 3, length - 1):

        def script(bench, stop=stop):
            yield ("send", words_of(first))
            yield ("wait", lambda: len(bench.outbox) <= length - stop)
            yield ("write", CONTROL, registers.CONTROL_SOFT_RESET)
            yield ("drop",)
            yield ("send", words_of(second))
            yield _until(bench, 1)

        bench = play(SMALL, array_model(seed=stop), script, pause=0.2, seed=stop)
        assert [p.tolist() for p in bench.packets] == [p.tolist() for p in expected], f"stopped at word {stop}"


def test_loads_run_beside_a_compute_that_does_not_use_them():
    """The next tile's load finishes before the COMPUTE of the other bank does."""
    log = []
    generator = random.Random(1)
    lead = [
        isa.COMPUTE.encode(bank=0, slot=0, pointers=0, address=0, count=1),
        header(SMALL, isa.ENTRIES, generator, bank=1, address=0, count=4),
    ]
    words = [*lead, *payload(SMALL, isa.ENTRIES, lead[1], generator)]
    words.append(isa.READ.encode(last=1, address=0, count=1))

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
    words = [isa.COMPUTE.encode(bank=0, slot=0, pointers=0, address=0, count=1)]
    load = header(SMALL, isa.ENTRIES, generator, bank=0, address=0, count=4)
    words += [load, *payload(SMALL, isa.ENTRIES, load, generator), isa.READ.encode(last=1, address=0, count=1)]

    def script(bench):
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
