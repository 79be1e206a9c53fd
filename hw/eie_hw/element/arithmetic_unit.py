"""The arithmetic unit: codebook lookup, row address accumulation, multiply-accumulate, accumulators."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract.config import ACCUMULATOR_BITS, CODE_BITS, WEIGHT_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import AccumulatorParts, AccumulatorSteps, CodebookCopy, Entry
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiply_accumulate import multiply_accumulate


@block
def arithmetic_unit(
    clk,
    codebook: CodebookCopy,
    entry: Entry,
    parts: AccumulatorParts,
    steps: AccumulatorSteps,
    accumulator,
    config: ArrayConfig,
):
    """Accumulate one entry a cycle; hand out and clear accumulators one by one.

    The row of a column's first entry is `entry.row` + `entry.index`, of every other the row before + `entry.index` + 1,
    modulo `rows`. The part of the accumulators that its COMPUTE uses stands for the row's upper bits. An accumulator is
    read while the sum of the entry before is on its way into it; an entry of that same row takes the sum from the DSP
    slice instead, so nothing ever waits.

    To hand out an accumulator takes the places of two entries: `steps.advance`, and in the next cycle (or the same, if
    its value is not wanted) `steps.clear`. The column that it interrupts goes on behind it.

    **Ports**

    =========== === ================================================================================
    codebook    in  weights to store; 0 for code 0
    entry       in  an entry to accumulate
    parts       in  the accumulators of each COMPUTE
    steps       in  instead of an entry: `advance` hands out the accumulator of `row`, `clear` zeroes it
    accumulator out 48 bits: an accumulator, three cycles after its `advance`
    =========== === ================================================================================

    **Timing**: an entry of cycle t is in its accumulator in cycle t + `pipeline.SUM_LATENCY`. `steps.advance` in cycle
    t: `accumulator` has the row's value in cycle t + 3 only.
    """
    row_bits = max(1, config.row_bits)
    single_row = config.rows == 1
    index_bits = config.index_bits
    top, below = row_bits - 1, row_bits - 2
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
    advancing, tag = bit(), bit()
    placed = vector(row_bits)
    write_code, read_code = vector(1 + CODE_BITS), vector(1 + CODE_BITS)

    @always_comb
    def choose_codebook():
        write_code.next = concat(codebook.tag, codebook.index)
        read_code.next = concat(entry.tag, entry.code)

    codebook_memory = lut_ram(clk, codebook.write, write_code, codebook.weight, read_code, weight)

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
            if entry.valid:
                row.next = total[row_bits + 1 : 1]

    if config.rows > 2:

        @always_comb
        def place():
            placed.next = row
            if tag:
                if parts.fix_top_1:
                    placed.next[top] = parts.top_1
                if parts.fix_next_1:
                    placed.next[below] = parts.next_1
            else:
                if parts.fix_top_0:
                    placed.next[top] = parts.top_0
                if parts.fix_next_0:
                    placed.next[below] = parts.next_0
    elif config.rows == 2:

        @always_comb
        def place():
            placed.next = row
            if tag:
                if parts.fix_top_1:
                    placed.next = parts.top_1
            elif parts.fix_top_0:
                placed.next = parts.top_0
    else:

        @always_comb
        def place():
            placed.next = row

    @always(clk.posedge)
    def pipeline():
        valid.next = entry.valid
        tag.next = entry.tag
        advancing.next = steps.advance
        clear.next = steps.clear
        if advancing:
            row_added.next = steps.row
        elif not clear:
            row_added.next = placed
        added.next = valid
        clear_added.next = clear
        same.next = added and not advancing and placed == row_added
        row_written.next = row_added
        write.next = added or clear_added

    slice_ = multiply_accumulate(clk, entry.valid, weight, entry.activation, stored, same, clear_added, accumulator)
    accumulators = lut_ram(clk, write, row_written, accumulator, row_added, stored)

    return (
        choose_codebook, codebook_memory, add_index, choose_base, follow_row, place, pipeline, slice_, accumulators,
    )  # fmt: skip
