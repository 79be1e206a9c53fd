"""Loads of pointers, entries, biases and row scales: which memory a beat goes to."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.config import LENGTHS_PER_WORD, ArrayConfig
from eie_hw.parts.load_interfaces import ScaleLoad


@block
def load_decode(
    clk,
    load,
    beat,
    pointer_write,
    pointer_address,
    entry_write,
    entry_address,
    bias_write,
    bias_pair,
    bias_row,
    scales: ScaleLoad,
    config: ArrayConfig,
):
    """Decode the load bus into one write strobe for each memory.

    **Ports**

    ==================== === =====================================================
    load                 in  `eie_hw.parts.interfaces.LoadBus`
    beat                 out its data
    pointer_write        out a bit for each pair of PEs
    entry_write          out a bit for each PE
    bias_write           out a bit for each cluster of four PEs
    pointer_address, entry_address  out with the bank
    bias_pair, bias_row  out pair in the cluster; local row
    scales               out all but its data, which are `beat`
    ==================== === =====================================================

    **Timing**: one cycle; those of biases and scales come at once, one cycle before the data, see `output_unit`.
    """
    pairs, elements, clusters = len(pointer_write), len(entry_write), len(bias_write)
    pair_bits = (config.pointer_pairs - 1).bit_length()
    word_bits = (config.entry_words - 1).bit_length()
    address_bits = max(1, word_bits)
    memories = len(scales.write)
    row_bits = len(bias_row)
    banked = config.banks > 1
    # Of what is loaded together, `pe` counts the groups.
    together = config.flit_words
    pairs_together = LENGTHS_PER_WORD // 4 * together
    cluster_bits = (clusters // together - 1).bit_length()
    memory_bits = (memories // together - 1).bit_length()
    cluster_mask, memory_mask = (1 << cluster_bits) - 1, (1 << memory_bits) - 1
    element_end = memory_bits + len(scales.element)

    @always(clk.posedge)
    def decode():
        beat.next = load.data
        for i in range(pairs):
            pointer_write.next[i] = (load.pointer_write and load.pe == i // together) or (
                load.length_write and load.pe == i // pairs_together
            )
        for i in range(elements):
            entry_write.next[i] = load.entry_write and load.pe == i // together * together

    @always_comb
    def biases():
        for i in range(clusters):
            bias_write.next[i] = load.bias_write and (load.pe & cluster_mask) == i // together
        bias_pair.next = load.pe[cluster_bits]
        bias_row.next = load.address[row_bits:]

    @always_comb
    def row_scales():
        for i in range(memories):
            scales.write.next[i] = load.scale_write and (load.pe & memory_mask) == i // together
        scales.element.next = load.pe[element_end:memory_bits]
        scales.row.next = load.address[row_bits:]

    if banked:

        @always(clk.posedge)
        def pointers():
            pointer_address.next = concat(load.bank, load.address[pair_bits:])
    else:

        @always(clk.posedge)
        def pointers():
            pointer_address.next = load.address[pair_bits:]

    if banked and word_bits:

        @always(clk.posedge)
        def entries():
            entry_address.next = concat(load.bank, load.address[word_bits:])
    elif banked:

        @always(clk.posedge)
        def entries():
            entry_address.next = load.bank
    else:

        @always(clk.posedge)
        def entries():
            entry_address.next = load.address[address_bits:]

    return decode, biases, row_scales, pointers, entries
