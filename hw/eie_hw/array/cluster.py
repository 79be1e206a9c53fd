"""A cluster: up to four processing elements, their output unit and their four lanes of the activation memory."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract.config import ACCUMULATOR_BITS, ACTIVATION_BITS, ACTIVATIONS_PER_WORD, ArrayConfig
from eie_hw.array.activation_memory import activation_memory
from eie_hw.array.output_unit import output_unit
from eie_hw.element.element_counters import count_bits
from eie_hw.element.processing_element import processing_element
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.multiplexer import multiplexer


@block
def cluster(
    clk,
    reset,
    pointer_write,
    pointer_address,
    entry_write,
    entry_address,
    bias_write,
    bias_write_pair,
    bias_write_row,
    load_data,
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
    output_element,
    bias_row,
    shift,
    relu,
    load_write,
    write_data,
    write_nonzero,
    store_write,
    write_group,
    nonzero,
    read_group,
    word,
    mask_group,
    mask,
    waiting,
    full,
    busy,
    visit,
    counts,
    counters_reset,
    config: ArrayConfig,
):
    """Hold what four PEs share.

    **Ports**

    ========================= === ================================================================================
    pointer_write             in  a bit for each pair of PEs: store the pair's share of `load_data`
    entry_write               in  a bit for each PE: store `load_data`
    bias_write, ...           in  see `output_unit`; the data are `load_data`
    codebook_write ... store_clear  in  see `processing_element`; `store_advance`, `store_clear`: a bit for each PE
    output_element, bias_row, shift, relu in  see `output_unit`
    load_write ... mask       see `activation_memory`; its stored data are the output unit's results
    waiting                   in  see `element_counters`
    full, busy                out some PE is, one cycle later
    visit, counts             small counters of the visited PE, one cycle later
    counters_reset            in  zero the small counters
    ========================= === ================================================================================

    **Timing**: that of its parts.
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
    result = vector(ACTIVATION_BITS)
    pair_data = [vector(pointer_bits) for _ in range(2)]
    pair_low, pair_high = pair_data
    entry_data = vector(entry_bits)

    @always_comb
    def split():
        pair_low.next = load_data[pointer_bits:]
        pair_high.next = load_data[2 * pointer_bits : pointer_bits]
        entry_data.next = load_data[entry_bits:]

    elements = [
        entity(
            processing_element(
                clk, reset, pointer_write(i // 2), pointer_address, pair_data[i % 2],
                entry_write(i), entry_address, entry_data, codebook_write, codebook_index, codebook_weight,
                bank, column_valid, column_odd, even_address, odd_address, activation,
                store_begin, store_advance(i), store_clear(i), waiting, counters_reset,
                fulls[i], busys[i], accumulators[i], all_counts[i], config,
            )
        )
        for i in range(count)
    ]  # fmt: skip

    outputs = entity(
        output_unit(
            clk, *(accumulators[i % count] for i in range(ACTIVATIONS_PER_WORD)), output_element, bias_row,
            bias_write, bias_write_pair, bias_write_row, load_data, shift, relu, result, config,
        )
    )  # fmt: skip

    memory = entity(
        activation_memory(
            clk, load_write, write_data, write_nonzero, store_write, result, write_group, nonzero,
            read_group, word, mask_group, mask, config,
        )
    )  # fmt: skip

    @always(clk.posedge)
    def collect():
        full.next = full_now != 0
        busy.next = busy_now != 0
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

    return split, elements, outputs, memory, collect, choice
