"""A processing element: pointers, queue, entries, arithmetic, and its small counters."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract import pipeline
from eie.contract.config import ACTIVATION_BITS, CODE_BITS, ArrayConfig
from eie_hw.element.activation_queue import activation_queue
from eie_hw.element.arithmetic_unit import arithmetic_unit
from eie_hw.element.element_counters import element_counters
from eie_hw.element.pointer_read import pointer_read
from eie_hw.element.sparse_matrix_read import sparse_matrix_read
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector


@block
def processing_element(
    clk,
    reset,
    pointer_write,
    pointer_address,
    pointer_data,
    entry_write,
    entry_address,
    entry_data,
    codebook_write,
    codebook_index,
    codebook_weight,
    bank,
    column_valid,
    column_odd,
    even_address,
    odd_address,
    activation,
    store_begin,
    store_advance,
    store_clear,
    waiting,
    counters_reset,
    full,
    busy,
    accumulator,
    counts,
    config: ArrayConfig,
):
    """Multiply the columns of non-zero activations with a PE's share of the rows.

    **Ports**

    ============================= === ===========================================================================
    pointer_write, _address, _data in  store a pointer pair at (bank, pair)
    entry_write, _address, _data   in  store a sparse-matrix word at (bank, word)
    codebook_write, _index, _weight in store a weight
    bank                          in  bank of entries to compute with
    column_valid, column_odd      in  look up a column; its number is odd
    even_address, odd_address     in  (bank, pair) of its even and odd pointer
    activation                    in  two cycles after `column_valid`: the value to multiply with
    store_begin, _advance, _clear in  see `arithmetic_unit`
    waiting                       in  a broadcast was held back, see `element_counters`
    counters_reset                in  zero the small counters
    full                          out stop broadcasting
    busy                          out columns or entries remain to be issued
    accumulator                   out 48 bits, see `arithmetic_unit`
    counts                        out small counters, see `element_counters`
    ============================= === ===========================================================================

    **Timing**: a column looked up in cycle t is in the queue in t + 3 and, if that was empty and no column is
    unfinished, its first entry is in the accumulator in t + 9. `busy` falls in the cycle after the last entry is
    issued; that entry is in the accumulator 5 cycles after `busy` fell.
    """
    start_bits = config.start_bits
    row_bits = max(1, config.row_bits)
    column_bits = config.pointer_bits + start_bits
    first_row = config.first_row
    queue_bits = column_bits + ACTIVATION_BITS

    push, pop, queue_valid = bit(), bit(), bit()
    column = vector(column_bits)
    push_data, head = vector(queue_bits), vector(queue_bits)
    start, finish = vector(start_bits), vector(start_bits)
    row, entry_row = vector(row_bits), vector(row_bits)
    head_activation, entry_activation = vector(ACTIVATION_BITS), vector(ACTIVATION_BITS)
    entry_valid, entry_first = bit(), bit()
    code, index = vector(CODE_BITS), vector(config.index_bits)

    pointers = entity(
        pointer_read(
            clk, pointer_write, pointer_address, pointer_data, column_valid, column_odd, even_address, odd_address,
            push, column, config,
        )
    )  # fmt: skip

    @always_comb
    def join():
        push_data.next = concat(activation, column)

    queue = entity(
        activation_queue(
            clk, reset, push, push_data, pop, queue_valid, head, full,
            pipeline.queue_slots(config), pipeline.queue_high_water(config),
        )
    )  # fmt: skip

    @always_comb
    def split():
        start.next = head[start_bits:]
        finish.next = head[2 * start_bits : start_bits]
        head_activation.next = head[queue_bits:column_bits]

    if first_row and config.row_bits:

        @always_comb
        def split_row():
            row.next = head[column_bits : 2 * start_bits]
    else:

        @always(clk.posedge)
        def split_row():
            row.next = 0

    entries = entity(
        sparse_matrix_read(
            clk, reset, entry_write, entry_address, entry_data, bank,
            queue_valid, start, finish, row, head_activation, pop, busy,
            entry_valid, code, index, entry_first, entry_row, entry_activation, config,
        )
    )  # fmt: skip

    arithmetic = entity(
        arithmetic_unit(
            clk, codebook_write, codebook_index, codebook_weight,
            entry_valid, code, index, entry_first, entry_row, entry_activation,
            store_begin, store_advance, store_clear, accumulator, config,
        )
    )  # fmt: skip

    counters = entity(element_counters(clk, counters_reset, entry_valid, code, full, waiting, counts, config))

    return pointers, join, queue, split, split_row, entries, arithmetic, counters
