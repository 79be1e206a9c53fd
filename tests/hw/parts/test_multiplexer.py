"""Parts of a vector are chosen by number."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.parts.interfaces import vector
from eie_hw.parts.multiplexer import multiplexer


@pytest.mark.parametrize("select_bits", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 9])
def test_every_part_is_chosen_by_its_number(select_bits, width):
    generator = random.Random(select_bits)
    number, data, chosen = vector(select_bits), vector(width << select_bits), vector(width)

    def drive(cycle):
        number.next = cycle % (1 << select_bits)
        data.next = generator.getrandbits(len(data))

    def look(cycle):
        assert chosen == int(data) >> width * int(number) & (1 << width) - 1

    run_unit(lambda clk: multiplexer(number, data, chosen), drive, look, 5 << select_bits)


def test_widths_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="2 select bits do not match 30 -> 8 bits"):
        multiplexer(vector(2), vector(30), vector(8))
