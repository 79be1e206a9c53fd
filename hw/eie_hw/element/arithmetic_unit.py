"""The arithmetic unit: codebook lookup, row address accumulation, multiply-accumulate, accumulators."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract.config import ACCUMULATOR_BITS, WEIGHT_BITS, ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiply_accumulate import multiply_accumulate


@block
def arithmetic_unit(
    clk,
    codebook_write,
    codebook_index,
    codebook_weight,
    entry_valid,
    code,
    index,
    entry_first,
    entry_row,
    entry_activation,
    store_begin,
    store_advance,
    store_clear,
    accumulator,
    config: ArrayConfig,
):
    """Accumulate one entry a cycle; hand out and clear accumulators one by one.

    The row of a column's first entry is `entry_row` + `index`, of every other the row before + `index` + 1, modulo
    `rows`. An accumulator is read while the sum of the entry before is on its way into it; an entry of that same row
    takes the sum from the DSP slice instead, so nothing ever waits.

    To hand out accumulators, the row register steps through the rows: `store_begin`, then for each row
    `store_advance`, and in a later cycle (or the same, if its value is not wanted) `store_clear`.

    **Ports**

    ================ === ================================================================================
    codebook_write   in  store `codebook_weight` as the weight of code `codebook_index`; 0 for code 0
    entry_valid      in  an entry to accumulate, with `code`, `index`, `entry_first`, `entry_row`,
                         `entry_activation`; `code`, `index` and `entry_first` are 0 while there is none
    store_begin      in  the next row is 0; no entry may be valid from now until the last `store_clear`
    store_advance    in  go to the next row
    store_clear      in  zero the accumulator of the row
    accumulator      out 48 bits: an accumulator, three cycles after its `store_advance`
    ================ === ================================================================================

    **Timing**: an entry of cycle t is in its accumulator in cycle t + `pipeline.SUM_LATENCY`. `store_advance` in cycle
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

    codebook = lut_ram(clk, codebook_write, codebook_index, codebook_weight, code, weight)

    @always_comb
    def add_index():
        step.next = not entry_first
        # The low bit carries a one into the sum: a single adder.
        total.next = concat(base, intbv(1)[1:]) + concat(index, step)

    if config.first_row:

        @always_comb
        def choose_base():
            if entry_first:
                base.next = entry_row
            else:
                base.next = row
    else:

        @always_comb
        def choose_base():
            if entry_first:
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
            if store_begin:
                row.next = before_first
            elif entry_valid or store_advance:
                row.next = total[row_bits + 1 : 1]

    @always(clk.posedge)
    def pipeline():
        valid.next = entry_valid
        clear.next = store_clear
        row_added.next = row
        added.next = valid
        clear_added.next = clear
        same.next = added and row == row_added
        row_written.next = row_added
        write.next = added or clear_added

    slice_ = multiply_accumulate(clk, entry_valid, weight, entry_activation, stored, same, clear_added, accumulator)
    accumulators = lut_ram(clk, write, row_written, accumulator, row_added, stored)

    return codebook, add_index, choose_base, follow_row, pipeline, slice_, accumulators
