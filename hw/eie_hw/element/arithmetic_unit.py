"""The arithmetic unit: codebook lookup, row address accumulation, multiply-accumulate, accumulators."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract.config import ACCUMULATOR_BITS, WEIGHT_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import AccumulatorSteps, CodebookCopy, Entry
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiply_accumulate import multiply_accumulate


@block
def arithmetic_unit(
    clk, codebook: CodebookCopy, entry: Entry, steps: AccumulatorSteps, accumulator, config: ArrayConfig
):
    """Accumulate one entry a cycle; hand out and clear accumulators one by one.

    The row of a column's first entry is `entry.row` + `entry.index`, of every other the row before + `entry.index` + 1,
    modulo `rows`. An accumulator is read while the sum of the entry before is on its way into it; an entry of that same
    row takes the sum from the DSP slice instead, so nothing ever waits.

    To hand out accumulators, the row register steps through the rows: `steps.begin`, then for each row
    `steps.advance`, and in a later cycle (or the same, if its value is not wanted) `steps.clear`.

    **Ports**

    =========== === ================================================================================
    codebook    in  weights to store; 0 for code 0
    entry       in  an entry to accumulate
    steps       in  `begin`: the next row is 0, no entry may be valid from now until the last `clear`;
                    `advance`: go to the next row; `clear`: zero the accumulator of the row
    accumulator out 48 bits: an accumulator, three cycles after its `advance`
    =========== === ================================================================================

    **Timing**: an entry of cycle t is in its accumulator in cycle t + `pipeline.SUM_LATENCY`. `steps.advance` in cycle
    t: `accumulator` has the row's value in cycle t + 3 only.
    """
    row_bits = max(1, config.row_bits)
    single_row = config.rows == 1
    index_bits = config.index_bits
    before_first = (1 << row_bits) - 1
    sum_bits = max(row_bits, index_bits) + 2

    weight = vector(WEIGHT_BITS)
    row, row_added, row_written = (Signal(modbv(0)[row_bits:]) for _ in range(3))
    base = vector(row_bits)
    total = vector(sum_bits)
    valid, added, write = bit(), bit(), bit()
    clear, clear_added = bit(), bit()
    same = bit()
    stored = vector(ACCUMULATOR_BITS)
    step = bit()

    codebook_memory = lut_ram(clk, codebook.write, codebook.index, codebook.weight, entry.code, weight)

    @always_comb
    def add_index():
        step.next = not entry.first
        # The low bit carries a one into the sum: a single adder.
        total.next = concat(base, intbv(1)[1:]) + concat(entry.index, step)

    if config.first_row:

        @always_comb
        def choose_base():
            if entry.first:
                base.next = entry.row
            else:
                base.next = row
    else:

        @always_comb
        def choose_base():
            if entry.first:
                base.next = 0
            else:
                base.next = row

    if single_row:

        @always(clk.posedge)
        def follow_row():
            row.next = 0
    else:

        @always(clk.posedge)
        def follow_row():
            if steps.begin:
                row.next = before_first
            elif entry.valid or steps.advance:
                row.next = total[row_bits + 1 : 1]

    @always(clk.posedge)
    def pipeline():
        valid.next = entry.valid
        clear.next = steps.clear
        row_added.next = row
        added.next = valid
        clear_added.next = clear
        same.next = added and row == row_added
        row_written.next = row_added
        write.next = added or clear_added

    slice_ = multiply_accumulate(clk, entry.valid, weight, entry.activation, stored, same, clear_added, accumulator)
    accumulators = lut_ram(clk, write, row_written, accumulator, row_added, stored)

    return codebook_memory, add_index, choose_base, follow_row, pipeline, slice_, accumulators
