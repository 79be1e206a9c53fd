"""Every instruction's hardware check says what the instruction set's description says, and nothing of other opcodes."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import isa
from eie.contract.config import SHIFT_LIMIT
from eie.contract.isa import ErrorCode
from eie_hw.parts.interfaces import bit, vector
from eie_hw.shell.header_check import header_check

CONFIGS = {
    "4 PEs": ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64),
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=3),
    "no limit": ArrayConfig(num_pes=256, entries=65536, pointers=65536, rows=8192, activations=1 << 21),
}


def _near(generator, config, name, width):
    """Return a value of a field near what decides."""
    limits = {
        "count": (1, config.rows, config.activation_groups, config.pointer_pairs, config.entry_words),
        "shift": (SHIFT_LIMIT,),
        "pe": (config.num_pes,),
        "slot": (config.codebooks,),
        "bank": (1,),
    }.get(name, (0, config.rows, config.activation_groups, config.pointer_pairs, config.entry_words))
    value = generator.choice(limits) + generator.choice((-2, -1, 0, 1))
    if generator.random() < 0.3:
        value = generator.getrandbits(generator.randint(1, width))
    return value & (1 << width) - 1


def _words(config, instruction, generator, count):
    for _ in range(count):
        values = {f.name: _near(generator, config, f.name, f.width) for f in instruction.fields}
        word = instruction.encode(**values)
        if generator.random() < 0.1:
            word ^= 1 << generator.randrange(64)
        yield word


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("instruction", isa.INSTRUCTIONS, ids=lambda i: i.name)
def test_a_header_is_judged_as_described(name, instruction):
    config = CONFIGS[name]
    generator = random.Random(f"{name} {instruction.name}")
    words = list(_words(config, instruction, generator, 250))
    for other in isa.INSTRUCTIONS:
        words += _words(config, other, generator, 8)
    generator.shuffle(words)
    enable, match, bad_field, out_of_range = (bit() for _ in range(4))
    header = vector(64)
    state: dict = {"answer": None}
    verdicts = set()

    def drive(cycle):
        header.next = words[cycle]
        enable.next = cycle == 0 or generator.random() < 0.9

    def look(cycle):
        if state["answer"]:
            matches, verdict = state["answer"]
            assert bool(match) == matches
            if verdict is ErrorCode.BAD_FIELD:
                assert bad_field
            else:
                assert not bad_field
                assert bool(out_of_range) == (verdict is ErrorCode.OUT_OF_RANGE)
            verdicts.add(verdict)
        if enable:
            word = words[cycle]
            matches = word & isa.OPCODE_MASK == instruction.opcode
            verdict = instruction.check(config, word) if matches else None
            state["answer"] = (matches, verdict)
            if not matches:
                state["answer"] = (False, ErrorCode.NONE)

    def build(clk):
        return header_check(clk, enable, header, match, bad_field, out_of_range, instruction, config)

    run_unit(build, drive, look, len(words))
    assert {ErrorCode.NONE, ErrorCode.BAD_FIELD} <= verdicts
