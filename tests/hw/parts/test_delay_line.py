"""A delay line and a multiplexer do what their names say."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.parts.delay_line import delay_line
from eie_hw.parts.interfaces import vector
from eie_hw.parts.multiplexer import multiplexer


@pytest.mark.parametrize("cycles", [0, 1, 2, 5])
def test_data_come_out_some_cycles_later(cycles):
    generator = random.Random(cycles)
    data, delayed = vector(7), vector(7)
    history = []

    def drive(cycle):
        data.next = generator.getrandbits(7)

    def look(cycle):
        history.append(int(data))
        if cycle >= cycles:
            assert delayed == history[cycle - cycles]

    run_unit(lambda clk: delay_line(clk, data, delayed, cycles), drive, look, 40)
    assert len(set(history)) > 10


@pytest.mark.parametrize("ways", [2, 4, 16])
def test_the_multiplexer_chooses_the_part_of_that_number(ways):
    generator = random.Random(ways)
    number, data, chosen = vector((ways - 1).bit_length()), vector(5 * ways), vector(5)

    def drive(cycle):
        number.next = generator.randrange(ways)
        data.next = generator.getrandbits(5 * ways)

    def look(cycle):
        assert chosen == int(data) >> 5 * int(number) & 31

    run_unit(lambda clk: multiplexer(number, data, chosen), drive, look, 60)


def test_the_multiplexer_refuses_parts_that_do_not_fit():
    with pytest.raises(ValueError, match="do not match"):
        multiplexer(vector(1), vector(20), vector(5))
