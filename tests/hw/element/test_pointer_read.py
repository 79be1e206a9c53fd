"""Both pointers of a column come in one cycle, whether the column is even or odd."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.pointer_read import pointer_read
from eie_hw.parts.interfaces import bit, vector

COLUMNS = 14


@pytest.mark.parametrize(
    "first_row, skip_empty, pointers, banks",
    [
        (True, True, 32, 2),
        (True, False, 32, 2),
        (False, True, 32, 2),
        (False, False, 32, 2),
        (True, True, 34, 2),  # the last of 17 pairs is a register
        (False, True, 34, 1),
    ],
)
def test_a_column_is_pushed_with_both_pointers_and_its_first_row(first_row, skip_empty, pointers, banks):
    config = ArrayConfig(
        num_pes=4, entries=64, pointers=pointers, rows=8, activations=32, banks=banks, first_row=first_row,
        skip_empty=skip_empty,
    )  # fmt: skip
    generator = random.Random(7)
    start_bits, width = config.start_bits, config.pointer_bits
    starts = [generator.randrange(64)]
    for _ in range(COLUMNS):
        starts.append((starts[-1] + generator.choice((0, 0, 1, 2, 9))) % 64)
    rows = [generator.randrange(8) if first_row else 0 for _ in starts]
    words = [start | row << start_bits for start, row in zip(starts, rows, strict=True)] + [0]
    pairs = len(words) // 2
    bank, base = banks - 1, config.pointer_pairs - pairs
    pair_bits = (config.pointer_pairs - 1).bit_length()
    write, valid, odd, push, swapped = (bit() for _ in range(5))
    write_address, even_address, odd_address = (vector(banks - 1 + pair_bits) for _ in range(3))
    write_data, column = vector(2 * width), vector(width + start_bits)
    asked: list = [None, None]
    pushed = []

    def drive(cycle):
        write.next = cycle < pairs
        if cycle < pairs:
            write_address.next = bank << pair_bits | (base + cycle)
            write_data.next = words[2 * cycle] | words[2 * cycle + 1] << width
            return
        j = generator.randrange(COLUMNS)
        valid.next = generator.random() < 0.7
        odd.next = j % 2
        even_address.next = bank << pair_bits | (base + j // 2 + j % 2)
        odd_address.next = bank << pair_bits | (base + j // 2)
        asked.append(j)

    def look(cycle):
        if cycle < pairs:
            return
        j = asked[-3]
        if j is not None and was_valid[0]:
            assert push == (starts[j] != starts[j + 1] or not skip_empty)
            even, odd = (starts[j + 1], starts[j]) if j % 2 else (starts[j], starts[j + 1])
            assert column == (rows[j] << 2 * start_bits | odd << start_bits | even)
            assert swapped == j % 2
            pushed.append((j, bool(push)))
        else:
            assert not push
        was_valid.append(bool(valid))
        del was_valid[0]

    was_valid = [False, False]

    def build(clk):
        return pointer_read(
            clk, write, write_address, write_data, valid, odd, even_address, odd_address, push, column, swapped, config
        )

    run_unit(build, drive, look, 200)
    assert len({j for j, _ in pushed}) == COLUMNS
