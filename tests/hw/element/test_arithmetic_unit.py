"""Sums are exact whatever the order of rows; accumulators are handed out and cleared."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.arithmetic_unit import arithmetic_unit
from eie_hw.parts.array_interfaces import AccumulatorParts, AccumulatorSteps, CodebookCopy, Entry
from eie_hw.parts.interfaces import vector

WRAP = 1 << 48


def _config(rows, first_row, index_bits):
    return ArrayConfig(
        num_pes=4, entries=64, pointers=16, rows=rows, activations=32, first_row=first_row, index_bits=index_bits
    )


@pytest.mark.parametrize(
    ("rows", "first_row", "index_bits"), [(8, True, 5), (4, False, 2), (1, True, 4), (2, True, 3), (16, True, 1)]
)
def test_accumulators_hold_the_exact_sums_of_two_computes_and_are_handed_out_between_entries(
    rows, first_row, index_bits
):
    config = _config(rows, first_row, index_bits)
    generator = random.Random(f"{rows} {index_bits}")
    codebook, entry, steps = CodebookCopy(), Entry(config), AccumulatorSteps(config)
    parts, accumulator = AccumulatorParts(), vector(48)
    weights = [[0] + [_value(generator, 999) for _ in range(15)] for _ in range(2)]
    # COMPUTEs of tag 0 use the first half and those of tag 1 the last quarter, where there are so many rows.
    halves, quarters = rows > 1, rows > 2
    size = {0: rows // 2 if halves else rows, 1: rows // 4 if quarters else rows // 2 if halves else rows}
    base = {0: 0, 1: rows - size[1]}
    sums, changed, cleared = [0] * rows, [-9] * rows, [-9] * rows
    state: dict = {"row": 0, "tag": 0, "column": None, "clear": None}
    due: dict = {}
    handed_out = []

    def drive(cycle):
        codebook.write.next = entry.valid.next = entry.first.next = False
        entry.code.next = entry.index.next = 0
        steps.advance.next = steps.clear.next = False
        steps.row.next = state.pop("store", 0)
        parts.fix_top_0.next, parts.top_0.next = halves, False
        parts.fix_top_1.next, parts.top_1.next = halves, True
        parts.fix_next_1.next, parts.next_1.next = quarters, True
        if cycle < 32:
            codebook.write.next, codebook.tag.next, codebook.index.next = True, cycle // 16, cycle % 16
            codebook.weight.next = weights[cycle // 16][cycle % 16] % 65536
        elif cycle < 36:
            return
        elif state["clear"] is not None:
            steps.clear.next = True
            sums[state["clear"]] = 0
            changed[state["clear"]] = cleared[state["clear"]] = cycle
            state["clear"] = None
        elif generator.random() < (0.4 if cycle % 40 < 12 else 0.1):
            # Only an accumulator whose sum is complete is handed out: here, one that no entry changed lately.
            number = generator.choice([n for n in range(rows) if cycle - changed[n] > 4] or [None])
            if number is not None:
                steps.advance.next = True
                state.update(store=number, clear=number)
                due[cycle + 3] = sums[number]
        elif cycle % 40 >= 8:
            work(cycle)

    def work(cycle):
        """Drive one entry, or none."""
        if generator.random() < 0.2:
            return
        is_first = generator.random() < 0.3 or state["column"] is None
        tag = generator.getrandbits(1) if is_first else state["column"]
        # Small steps keep to the same row often: the case of the bypass.
        skipped = generator.choice((0, min(rows - 1, config.max_gap), generator.randint(0, config.max_gap)))
        chosen, value = generator.randrange(16), _value(generator, 99)
        first_row_number = generator.randrange(rows) if config.first_row else 0
        row = (first_row_number + skipped if is_first else state["row"] + skipped + 1) % rows
        place = base[tag] + row % size[tag]
        if cleared[place] == cycle - 1:
            return  # a COMPUTE that follows a STORE begins later
        state.update(row=row, column=tag)
        changed[place] = cycle
        sums[place] = (sums[place] + weights[tag][chosen] * value) % WRAP
        entry.valid.next, entry.first.next, entry.tag.next = True, is_first, tag
        entry.code.next, entry.index.next = chosen, skipped
        entry.row.next, entry.activation.next = first_row_number, value % 65536

    def look(cycle):
        if cycle in due:
            assert accumulator == due[cycle]
            handed_out.append(due[cycle])

    def build(clk):
        return arithmetic_unit(clk, codebook, entry, parts, steps, accumulator, config)

    run_unit(build, drive, look, 2000)
    assert len(handed_out) > 50
    assert len(set(handed_out)) > 20


def _value(generator, limit):
    return generator.choice((-32768, 32767, generator.randint(-limit, limit)))
