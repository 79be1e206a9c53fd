"""A COMPUTE copies its slot's codebook into the PEs, with 0 for code 0."""

import random

from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.pipeline import COPY_CYCLES
from eie_hw.array.codebook import codebook
from eie_hw.parts.interfaces import bit, vector

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, codebooks=3)


def test_each_slot_is_copied_as_loaded():
    generator = random.Random(2)
    books = [[generator.getrandbits(16) for _ in range(16)] for _ in range(3)]
    order = [2, 0, 1, 1, 2]
    reset, write, start, copy = (bit() for _ in range(4))
    write_slot, slot, write_word, index = vector(4), vector(4), vector(16), vector(4)
    data, weight = vector(72), vector(16)
    copies: list[dict] = []
    started = [0]

    def drive(cycle):
        reset.next = cycle == 0
        write.next = 0 < cycle <= 12
        if write.next or 0 < cycle <= 12:
            book, word = divmod(cycle - 1, 4)
            write_slot.next, write_word.next = book, word
            data.next = sum(books[book][4 * word + i] << 16 * i for i in range(4))
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
        return codebook(clk, reset, write, write_slot, write_word, data, start, slot, copy, index, weight, CONFIG)

    run_unit(build, drive, look, 13 + 25 * len(order))
    assert copies == [dict(enumerate([0, *books[number][1:]])) for number in order]
