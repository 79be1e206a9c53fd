"""A processing element: pointers, queue, entries, arithmetic, and its small counters."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract import pipeline
from eie.contract.config import ACTIVATION_BITS, ArrayConfig
from eie_hw.element.activation_queue import activation_queue
from eie_hw.element.arithmetic_unit import arithmetic_unit
from eie_hw.element.element_counters import element_counters
from eie_hw.element.pointer_read import pointer_read
from eie_hw.element.sparse_matrix_read import sparse_matrix_read
from eie_hw.parts.array_interfaces import (
    AccumulatorParts,
    AccumulatorSteps,
    CodebookCopy,
    ColumnBus,
    CounterControl,
    Entry,
    QueuedColumn,
)
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ElementLoads


@block
def processing_element(
    clk,
    reset,
    loads: ElementLoads,
    codebook: CodebookCopy,
    column: ColumnBus,
    parts: AccumulatorParts,
    steps: AccumulatorSteps,
    counters: CounterControl,
    full,
    busy,
    accumulator,
    counts,
    config: ArrayConfig,
):
    """Multiply the columns of non-zero activations with a PE's share of the rows.

    **Ports**

    =========== === ========================================================================================
    loads       in  pointers and entries to store
    codebook    in  weights to store
    column      in  a column to look up, and its activation
    parts       in  the accumulators to use
    steps       in  the walk over the accumulators, see `arithmetic_unit`
    counters    in  see `element_counters`
    full        out stop broadcasting
    busy        out columns or entries of the oldest COMPUTE remain to be issued
    accumulator out 48 bits, see `arithmetic_unit`
    counts      out small counters, see `element_counters`
    =========== === ========================================================================================

    **Timing**: a column looked up in cycle t is in the queue in t + 3 and, if that was empty and no column is
    unfinished, its first entry is in the accumulator in t + 9. `busy` falls in the cycle after the last entry is
    issued; that entry is in the accumulator 5 cycles after `busy` fell.
    """
    start_bits = config.start_bits
    column_bits = config.pointer_bits + start_bits
    first_row = config.first_row
    queue_bits = column_bits + ACTIVATION_BITS + 3
    swapped_bit = column_bits + ACTIVATION_BITS

    push = bit()
    waiting, entry = QueuedColumn(config), Entry(config)
    looked_up, swapped = vector(column_bits), bit()
    push_data, head = vector(queue_bits), vector(queue_bits)

    pointers = entity(
        pointer_read(
            clk, loads.pointer_write, loads.pointer_address, loads.pointer_data,
            column.valid, column.odd, column.even_address, column.odd_address, push, looked_up, swapped, config,
        )
    )  # fmt: skip

    @always_comb
    def assemble():
        push_data.next = concat(column.bank, column.tag, swapped, column.activation, looked_up)

    queue = entity(
        activation_queue(
            clk, reset, push, push_data, waiting.pop, waiting.valid, head, full,
            pipeline.queue_slots(config), pipeline.queue_high_water(config),
        )
    )  # fmt: skip

    @always_comb
    def split():
        waiting.even.next = head[start_bits:]
        waiting.odd.next = head[2 * start_bits : start_bits]
        waiting.activation.next = head[swapped_bit:column_bits]
        waiting.swapped.next = head[swapped_bit]
        waiting.tag.next = head[swapped_bit + 1]
        waiting.bank.next = head[swapped_bit + 2]

    if first_row and config.row_bits:

        @always_comb
        def split_row():
            waiting.first_row.next = head[column_bits : 2 * start_bits]
    else:

        @always(clk.posedge)
        def split_row():
            waiting.first_row.next = 0

    entries = entity(sparse_matrix_read(clk, reset, loads, steps.hold, column.oldest, waiting, busy, entry, config))

    arithmetic = entity(arithmetic_unit(clk, codebook, entry, parts, steps, accumulator, config))

    events = entity(
        element_counters(clk, counters.reset, entry.valid, entry.code, full, counters.waiting, counts, config)
    )

    return pointers, assemble, queue, split, split_row, entries, arithmetic, events
