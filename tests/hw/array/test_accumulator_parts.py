"""A COMPUTE's part of the accumulators is the contract's, and is kept while the next COMPUTE takes another."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.accumulator_parts import accumulator_parts
from eie_hw.parts.array_interfaces import AccumulatorParts
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize(("rows", "parts"), [(8, 8), (4, 8), (2, 4), (1, 2)])
def test_the_upper_bits_of_a_row_are_those_of_the_part(rows, parts):
    config = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=rows, activations=32)
    generator = random.Random(rows)
    walk, tag, part, kept = bit(), bit(), vector(3), AccumulatorParts()
    taken: dict[int, int] = {}
    seen = set()

    def drive(cycle):
        walk.next, tag.next, part.next = generator.random() < 0.5, generator.random() < 0.5, generator.randrange(parts)

    def look(cycle):
        for number, taken_part in taken.items():
            first, size = config.accumulator_part(taken_part)
            assert [placed(row, number) for row in range(rows)] == [first + row % size for row in range(rows)]
            seen.add((number, taken_part))
        if walk:
            taken[int(tag)] = int(part)

    def placed(row, number):
        """Return the row with its upper two bits as `arithmetic_unit` replaces them."""
        for name, place in (("top", rows // 2), ("next", rows // 4)):
            if getattr(kept, f"fix_{name}_{number}"):
                row = row & ~place | place * bool(getattr(kept, f"{name}_{number}"))
        return row

    run_unit(lambda clk: accumulator_parts(clk, walk, tag, part, kept, config), drive, look, 300)
    assert seen == {(number, p) for number in (0, 1) for p in range(parts)}
