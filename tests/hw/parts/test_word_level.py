"""A level of the multiplexer over words chooses one of every four, or of two, by two bits of the lane's number."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.parts.interfaces import vector
from eie_hw.parts.word_level import word_level


@pytest.mark.parametrize("words, ways, position", [(2, 2, 2), (4, 4, 2), (16, 4, 2), (16, 4, 4)])
def test_one_word_of_every_few_comes_a_cycle_later(words, ways, position):
    generator = random.Random(words)
    lane, data, narrowed = vector(8), vector(64 * words), vector(64 * words // ways)
    state = {"expected": None}

    def drive(cycle):
        lane.next, data.next = generator.getrandbits(8), generator.getrandbits(64 * words)

    def look(cycle):
        if cycle:
            assert narrowed == state["expected"]
        way = int(lane) >> position & ways - 1
        parts = [int(data) >> 64 * (ways * part + way) & (1 << 64) - 1 for part in range(words // ways)]
        state["expected"] = sum(word << 64 * part for part, word in enumerate(parts))

    run_unit(lambda clk: word_level(clk, lane, position, data, narrowed), drive, look, 60)
