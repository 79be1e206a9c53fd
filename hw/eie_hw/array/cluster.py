"""A cluster: up to four processing elements, their output unit and their four lanes of the activation memory."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract.config import (
    ACCUMULATOR_BITS,
    ACTIVATION_BITS,
    ACTIVATIONS_PER_WORD,
    BIAS_BITS,
    SCALE_BITS,
    ArrayConfig,
)
from eie_hw.array.activation_memory import activation_memory
from eie_hw.array.operand_unit import operand_unit
from eie_hw.array.output_unit import output_unit
from eie_hw.element.element_counters import count_bits
from eie_hw.element.processing_element import processing_element
from eie_hw.parts.array_interfaces import (
    AccumulatorParts,
    AccumulatorSteps,
    ActivationPort,
    ActivationWrite,
    CodebookCopy,
    ColumnBus,
    CounterControl,
    OutputFormat,
    OutputSelect,
    share,
)
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import BiasLoad, ClusterLoads, ElementLoads
from eie_hw.parts.multiplexer import multiplexer


@block
def cluster(
    clk,
    reset,
    loads: ClusterLoads,
    codebook: CodebookCopy,
    column: ColumnBus,
    parts: AccumulatorParts,
    steps: AccumulatorSteps,
    select: OutputSelect,
    scale,
    form: OutputFormat,
    write: ActivationWrite,
    memory: ActivationPort,
    counters: CounterControl,
    visit,
    full,
    busy,
    saturated,
    counts,
    config: ArrayConfig,
):
    """Hold what four PEs share.

    **Ports**

    ============ === =======================================================================
    loads        in  of this cluster
    codebook, column, parts  in, see `processing_element`
    steps        in  a bit for each PE
    select, scale, form  in  see `output_unit`; it gets `form` one cycle later
    write        in  see `activation_memory`; what it stores are the output unit's results
    memory           read ports of its lanes
    counters     in  see `element_counters`
    visit        in  the PE whose small counters to hand out
    full, busy   out some PE is, one cycle later
    saturated    out the output unit's result is, one cycle later
    counts       out small counters of that PE, one cycle later
    ============ === =======================================================================

    **Timing**: that of its parts; the PEs are reset one cycle later, by a register that drives no other cluster's, and
    likewise have `parts` and `column.oldest` of their own.
    """
    count = min(config.num_pes, ACTIVATIONS_PER_WORD)
    pointer_bits = 2 * config.pointer_bits
    entry_bits = config.word_bits
    element_bits = (count - 1).bit_length()

    fulls, busys = [bit() for _ in range(count)], [bit() for _ in range(count)]
    accumulators = [vector(ACCUMULATOR_BITS) for _ in range(count)]
    all_counts = [vector(3 * count_bits(config)) for _ in range(count)]
    full_now = ConcatSignal(*fulls) if count > 1 else fulls[0]
    busy_now = ConcatSignal(*busys) if count > 1 else busys[0]
    counts_together = ConcatSignal(*reversed(all_counts)) if count > 1 else all_counts[0]
    counts_now = vector(3 * count_bits(config))
    result, lost = vector(ACTIVATION_BITS), bit()
    operand, addend, multiplier = vector(ACTIVATION_BITS), vector(BIAS_BITS), vector(SCALE_BITS)
    own_reset, own_oldest = bit(), bit()
    own_parts = AccumulatorParts()
    own_column = share(column, oldest=own_oldest)
    beat_bits, beats = 8 * config.beat_bytes, config.flit_words
    own_form = OutputFormat()

    element_loads = [
        share(
            ElementLoads(config),
            pointer_write=loads.pointer_write(i // 2),
            pointer_address=loads.pointer_address,
            pointer_data=loads.pointer_data((i + 1) * pointer_bits, i * pointer_bits),
            entry_write=loads.entry_write(i),
            entry_address=loads.entry_address,
            entry_data=loads.data(beat_bits * (i % beats) + entry_bits, beat_bits * (i % beats)),
        )
        for i in range(count)
    ]
    elements = [
        entity(
            processing_element(
                clk, own_reset, element_loads[i], codebook, own_column, own_parts,
                share(steps, hold=steps.hold(i), advance=steps.advance(i), clear=steps.clear(i)), counters,
                fulls[i], busys[i], accumulators[i], all_counts[i], config,
            )
        )
        for i in range(count)
    ]  # fmt: skip

    # One register for all output units would drive a thousand loads.
    @always(clk.posedge)
    def keep_form():
        own_form.elementwise.next = form.elementwise
        own_form.operation.next = form.operation
        own_form.difference.next = form.difference
        own_form.maximum.next = form.maximum
        own_form.halved.next = form.halved
        own_form.relu.next = form.relu
        own_form.scaled.next = form.scaled
        own_form.shift.next = form.shift
        own_form.pre_shift.next = form.pre_shift
        own_form.low.next = form.low
        own_form.high.next = form.high

    biases = share(
        BiasLoad(config),
        write=loads.bias_write,
        pair=loads.bias_pair,
        row=loads.bias_row,
        data=loads.word,
    )
    operands = entity(
        operand_unit(
            clk, memory.word, select.take_first, select.take_second, select.element, own_form.operation,
            operand, addend, multiplier,
        )
    )  # fmt: skip
    outputs = entity(
        output_unit(
            clk, *(accumulators[i % count] for i in range(ACTIVATIONS_PER_WORD)), select, biases, own_form,
            operand, addend, multiplier, scale, result, lost, config,
        )
    )  # fmt: skip

    activations = entity(activation_memory(clk, write, result, memory, config))

    @always(clk.posedge)
    def collect():
        own_reset.next = reset
        own_oldest.next = column.oldest
        own_parts.fix_top_0.next = parts.fix_top_0
        own_parts.fix_top_1.next = parts.fix_top_1
        own_parts.top_0.next = parts.top_0
        own_parts.top_1.next = parts.top_1
        own_parts.fix_next_0.next = parts.fix_next_0
        own_parts.fix_next_1.next = parts.fix_next_1
        own_parts.next_0.next = parts.next_0
        own_parts.next_1.next = parts.next_1
        full.next = full_now != 0
        busy.next = busy_now != 0
        saturated.next = lost
        counts.next = counts_now

    if element_bits:
        element = vector(element_bits)

        @always_comb
        def visitor():
            element.next = visit[element_bits:]

        choice = (visitor, multiplexer(element, counts_together, counts_now))
    else:

        @always_comb
        def only():
            counts_now.next = counts_together

        choice = (only,)

    return keep_form, elements, operands, outputs, activations, collect, choice
