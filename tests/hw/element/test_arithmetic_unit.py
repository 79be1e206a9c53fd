"""Sums are exact whatever the order of rows; accumulators are handed out and cleared."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.arithmetic_unit import arithmetic_unit
from eie_hw.parts.array_interfaces import AccumulatorSteps, CodebookCopy, Entry, share
from eie_hw.parts.interfaces import bit, vector

WRAP = 1 << 48


def _config(rows, first_row, index_bits):
    return ArrayConfig(
        num_pes=4, entries=64, pointers=16, rows=rows, activations=32, first_row=first_row, index_bits=index_bits
    )


@pytest.mark.parametrize(
    ("rows", "first_row", "index_bits"), [(8, True, 5), (4, False, 2), (1, True, 4), (16, True, 1)]
)
def test_accumulators_hold_the_exact_sums(rows, first_row, index_bits):
    config = _config(rows, first_row, index_bits)
    generator = random.Random(f"{rows} {index_bits}")
    row_bits = max(1, config.row_bits)
    codebook_write, valid, first, begin, advance, clear = (bit() for _ in range(6))
    codebook_index, code, index = vector(4), vector(4), vector(index_bits)
    weight, activation = vector(16), vector(16)
    row, accumulator = vector(row_bits), vector(48)
    weights = [0] + [generator.choice((-32768, 32767, generator.randint(-999, 999))) for _ in range(15)]
    sums = [0] * rows
    state = {"row": 0}
    handed_out = []

    def idle():
        for signal in (codebook_write, valid, first, begin, advance, clear):
            signal.next = False
        code.next = index.next = 0

    def work():
        """Drive one entry, or none."""
        if generator.random() < 0.2:
            return
        is_first = generator.random() < 0.3
        # Small steps keep to the same row often: the case of the bypass.
        skipped = generator.choice((0, min(rows - 1, config.max_gap), generator.randint(0, config.max_gap)))
        chosen, value = generator.randrange(16), generator.choice((-32768, 32767, generator.randint(-99, 99)))
        first_row_number = generator.randrange(rows) if config.first_row else 0
        state["row"] = (first_row_number + skipped if is_first else state["row"] + skipped + 1) % rows
        sums[state["row"]] = (sums[state["row"]] + weights[chosen] * value) % WRAP
        valid.next, first.next, code.next, index.next = True, is_first, chosen, skipped
        row.next, activation.next = first_row_number, value % 65536

    def drive(cycle):
        idle()
        phase = (cycle - 16) % 400
        if cycle < 16:
            codebook_write.next, codebook_index.next, weight.next = True, cycle, weights[cycle] % 65536
        elif phase < 300:
            work()
        elif phase == 302:
            begin.next = True
        elif phase >= 304 and phase - 304 < 3 * rows:
            advance.next = (phase - 304) % 3 == 0
            clear.next = (phase - 304) % 3 == 1

    def look(cycle):
        phase = (cycle - 16) % 400
        if cycle >= 16 and phase >= 307 and (phase - 307) % 3 == 0 and (phase - 307) // 3 < rows:
            number = (phase - 307) // 3
            assert accumulator == sums[number], f"row {number}"
            handed_out.append(sums[number])
            sums[number] = 0
        if phase == 399 and rows == 1:
            state["row"] = 0

    def build(clk):
        codebook = share(CodebookCopy(), write=codebook_write, index=codebook_index, weight=weight)
        entry = share(Entry(config), valid=valid, code=code, index=index, first=first, row=row, activation=activation)
        steps = share(AccumulatorSteps(), begin=begin, advance=advance, clear=clear)
        return arithmetic_unit(clk, codebook, entry, steps, accumulator, config)

    def drive_known(cycle):
        # After accumulators were handed out, the row register stands at the last one.
        if (cycle - 16) % 400 == 0:
            state["row"] = rows - 1 if cycle > 16 else 0
        drive(cycle)

    run_unit(build, drive_known, look, 16 + 3 * 400)
    assert len(handed_out) == 3 * rows
    assert len(set(handed_out)) > min(rows, 2)
