"""A COMPUTE copies its slot's codebook into the PEs, with 0 for code 0."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.pipeline import COPY_CYCLES
from eie_hw.array.codebook import codebook
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize("stream_bits", [64, 128, 256])
def test_each_slot_is_copied_as_loaded(stream_bits):
    config = ArrayConfig(num_pes=64, codebooks=3, stream_bits=stream_bits)
    lanes = stream_bits // 16
    parts = 16 // lanes
    generator = random.Random(2)
    books = [[generator.getrandbits(16) for _ in range(16)] for _ in range(3)]
    order = [2, 0, 1, 1, 2]
    reset, write, start, copy = (bit() for _ in range(4))
    write_slot, slot, write_part, index = vector(4), vector(4), vector(16), vector(4)
    data, weight = vector(72 * config.flit_words), vector(16)
    copies: list[dict] = []
    started = [0]

    def drive(cycle):
        reset.next = cycle == 0
        write.next = 0 < cycle <= 3 * parts
        if 0 < cycle <= 3 * parts:
            book, part = divmod(cycle - 1, parts)
            write_slot.next, write_part.next = book, part
            data.next = sum(books[book][lanes * part + i] << 16 * i for i in range(lanes))
        begin = cycle > 12 and (cycle - 13) % 25 == 0 and len(copies) < len(order)
        start.next = begin
        if begin:
            slot.next = order[len(copies)]
            copies.append({})
            started[0] = cycle

    def look(cycle):
        if copy and copies:
            copies[-1][int(index)] = int(weight)
            assert cycle - started[0] <= COPY_CYCLES

    def build(clk):
        return codebook(clk, reset, write, write_slot, write_part, data, start, slot, copy, index, weight, config)

    run_unit(build, drive, look, 13 + 25 * len(order))
    assert copies == [dict(enumerate([0, *books[number][1:]])) for number in order]
