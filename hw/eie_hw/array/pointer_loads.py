"""Loads of pointers: as they come, or as the running sums of the columns' lengths."""

from __future__ import annotations

from myhdl import ConcatSignal, Signal, always, always_comb, block, intbv, modbv

from eie.contract.config import LENGTH_BITS, LENGTHS_PER_WORD, ArrayConfig
from eie_hw.parts.interfaces import LoadBus, vector
from eie_hw.parts.memories import single_port_ram


@block
def pointer_loads(clk: Signal, load: LoadBus, data: Signal, config: ArrayConfig):
    """Turn a beat of POINTERS or LENGTHS into the pointers that are written.

    **Ports**

    ==== === ===============================================================================================
    load in
    data out even and odd pointer of each of the PEs that LENGTHS come for at once, eight for a word of the stream;
             of POINTERS, which come for a pair for a word, these again and again
    ==== === ===============================================================================================

    **Timing**: one cycle.
    """
    together = config.flit_words
    place_bits = (config.length_words // together - 1).bit_length()
    place = load.pe(max(1, place_bits), 0)
    beat_bits = 4 * config.pointer_bits
    row_bits = config.pointer_bits - config.start_bits
    no_row = [intbv(0)[row_bits:]] if row_bits else []

    sums, pointers = [], []
    for i in range(together * LENGTHS_PER_WORD // 2):
        even, odd = (Signal(modbv(0)[config.start_bits :]) for _ in range(2))
        low = 2 * i * LENGTH_BITS
        lengths = load.data(low + LENGTH_BITS, low), load.data(low + 2 * LENGTH_BITS, low + LENGTH_BITS)
        sums.append(running_sum(clk, load.length_write, load.first, place, *lengths, even, odd, place_bits))
        pointers += [even, odd]
    fields = [part for pointer in pointers for part in (pointer, *no_row)]
    beats = [load.data(8 * config.beat_bytes * i + beat_bits, 8 * config.beat_bytes * i) for i in range(together)]
    given = ConcatSignal(*reversed(beats * (len(data) // (together * beat_bits))))
    return sums, select_pointers(clk, load.length_write, ConcatSignal(*reversed(fields)), given, data)


@block
def running_sum(clk, write, first, place, even_length, odd_length, even, odd, place_bits: int):
    """Sum the lengths of a PE's columns (combinational, but for the sum that it keeps).

    **Ports**

    ======================= === ================================================
    write                   in  keep the sum behind these two columns
    first                   in  they are the first: the sum before them is 0
    place                   in  which of the PEs that come here
    even_length, odd_length in
    even, odd               out the sums before them, modulo a power of two
    ======================= === ================================================
    """
    width = len(even)
    so_far, total = (Signal(modbv(0)[width:]) for _ in range(2))
    both_lengths = vector(len(even_length) + 1)
    kept = vector(width)
    next_sum = vector(width)

    @always_comb
    def start():
        so_far.next = kept
        if first:
            so_far.next = 0

    @always_comb
    def add():
        even.next = so_far
        odd.next = even_length + so_far
        total.next = both_lengths + so_far

    # Beside the memory's answer, not behind the sum with the even one.
    @always_comb
    def add_lengths():
        both_lengths.next = even_length + odd_length

    @always_comb
    def hand_over():
        next_sum.next = total

    if place_bits:
        memory = single_port_ram(clk, write, next_sum, place, kept)
    else:

        @always(clk.posedge)
        def keep():
            if write:
                kept.next = next_sum

        memory = keep

    return start, add, add_lengths, hand_over, memory


@block
def select_pointers(clk, by_lengths, sums, given, chosen):
    """Register the sums of lengths, or what is given."""

    @always(clk.posedge)
    def choose():
        if by_lengths:
            chosen.next = sums
        else:
            chosen.next = given

    return choose
