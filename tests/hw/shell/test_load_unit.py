"""A load's payload becomes the writes that the instruction set describes, whatever the pauses between its words."""

import random

import pytest
from programs import header as random_header
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import isa
from eie_hw.parts.interfaces import LoadBus, bit, vector
from eie_hw.shell.load_unit import LOADS, load_unit

CONFIGS = {
    "beats of 9 bytes": ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64),
    "beats of 8 bytes": ArrayConfig(num_pes=8, entries=128, pointers=32, rows=8, activations=64, index_bits=4),
    "beats of 9 bytes and two words of lengths": ArrayConfig(
        num_pes=16, entries=256, pointers=64, rows=16, activations=64
    ),
    "beats of 9 bytes, 2 at once": ArrayConfig(
        num_pes=32, entries=512, pointers=128, rows=8, activations=128, stream_bits=128
    ),
    "beats of 9 bytes, 4 at once": ArrayConfig(
        num_pes=128, entries=1024, pointers=256, rows=8, activations=2048, stream_bits=256
    ),
    "one PE, beats of 18": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, entries_per_word=16),
}
STROBES = {
    isa.CODEBOOK: "codebook_write",
    isa.POINTERS: "pointer_write",
    isa.LENGTHS: "length_write",
    isa.ENTRIES: "entry_write",
    isa.BIAS: "bias_write",
    isa.SCALE: "scale_write",
    isa.ACTIVATIONS: "activation_write",
}


def _writes(config, instruction, values, payload):
    """Return (strobe, address, pe, data) of each write."""
    wide, together = instruction in (isa.POINTERS, isa.ENTRIES), config.flit_words
    size = (config.beat_bytes if wide else 8) * together
    if instruction is isa.CODEBOOK:
        places = [(word, 0) for word in range(4 // together)]
    elif instruction is isa.ENTRIES:
        places = [(values["address"] + i, values["pe"]) for i in range(values["count"])]
    else:
        across = {
            isa.ACTIVATIONS: config.words_per_group,
            isa.LENGTHS: config.length_words,
            isa.SCALE: config.scale_words,
        }
        across = across.get(instruction, config.pe_pairs) // together
        places = [(values["address"] + i, pe) for i in range(values["count"]) for pe in range(across)]
    beats = [int.from_bytes(payload[size * i : size * (i + 1)], "little") for i in range(len(places))]
    return [(STROBES[instruction], *place, beat) for place, beat in zip(places, beats, strict=True)]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pause", [0, 0.5])
def test_every_load_makes_its_writes_and_knows_its_last_word(name, pause):
    config = CONFIGS[name]
    assert name.split(" ")[-1 if "PE" in name else 2] == str(config.beat_bytes)
    flit = config.flit_bytes
    generator = random.Random(f"{name} {pause}")
    begin, word_valid, ends = (bit() for _ in range(3))
    header, word = vector(64), vector(8 * flit)
    load = LoadBus(config)
    todo = [instruction for instruction in LOADS for _ in range(3)]
    generator.shuffle(todo)
    state: dict = {"words": [], "wait": 0, "bank": 0, "slot": 0}
    expected, seen = [], []

    def drive(cycle):
        begin.next = word_valid.next = False
        if state["words"]:
            if generator.random() >= pause:
                word_valid.next = True
                word.next = state["words"].pop(0)
        elif state["wait"]:
            begin.next = True
            state["wait"] -= 1
            if state["wait"] == 0:
                state["words"] = state.pop("next")
        elif todo:
            instruction = todo.pop()
            count = {"count": generator.randint(1, 4)} if instruction is not isa.CODEBOOK else {}
            head = random_header(config, instruction, generator, **count)
            values = instruction.decode(head)
            assert all(s.length(config, values) == values["count"] for s in instruction.spans)
            size = 8 * instruction.payload_words(config, values)
            payload = generator.randbytes(size)
            expected.extend((*write, values) for write in _writes(config, instruction, values, payload))
            header.next = head
            state["next"] = [int.from_bytes(payload[i : i + flit], "little") for i in range(0, size, flit)]
            state["wait"] = generator.randint(1, 4)

    def look(cycle):
        if word_valid:
            assert bool(ends) == (not state["words"])
        strobes = [strobe for strobe in STROBES.values() if getattr(load, strobe)]
        assert len(strobes) <= 1
        for strobe in strobes:
            *write, values = expected[len(seen)]
            wide = strobe in ("pointer_write", "entry_write")
            mask = (1 << 8 * (config.beat_bytes if wide else 8) * config.flit_words) - 1
            assert [strobe, int(load.address), int(load.pe), int(load.data) & mask] == write
            last_word = config.words_per_group // config.flit_words - 1
            assert load.group_end == (strobe == STROBES[isa.ACTIVATIONS] and load.pe == last_word)
            if strobe == STROBES[isa.LENGTHS]:
                assert load.first == (load.address == values["address"])
            assert "bank" not in values or load.bank == values["bank"]
            assert "slot" not in values or load.slot == values["slot"]
            seen.append(strobe)

    def build(clk):
        return load_unit(clk, header, begin, word_valid, word_valid, word, ends, load, config)

    run_unit(build, drive, look, 1200)
    assert not todo
    assert len(seen) == len(expected)
    assert set(seen) == set(STROBES.values())
