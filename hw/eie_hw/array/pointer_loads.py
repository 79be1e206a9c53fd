"""Loads of pointers: as they come, or as the running sums of the columns' lengths."""

from __future__ import annotations

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract.config import LENGTH_BITS, LENGTHS_PER_WORD, ArrayConfig
from eie_hw.parts.interfaces import LoadBus, vector


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
    places = config.length_words // together
    beat_bits = 4 * config.pointer_bits
    row_bits = config.pointer_bits - config.start_bits
    no_row = [intbv(0)[row_bits:]] if row_bits else []

    sums, pointers = [], []
    for i in range(together * LENGTHS_PER_WORD // 2):
        even, odd = (Signal(modbv(0)[config.start_bits :]) for _ in range(2))
        low = 2 * i * LENGTH_BITS
        lengths = load.data(low + LENGTH_BITS, low), load.data(low + 2 * LENGTH_BITS, low + LENGTH_BITS)
        sums.append(running_sum(clk, load.length_write, load.first, *lengths, even, odd, places))
        pointers += [even, odd]
    fields = [part for pointer in pointers for part in (pointer, *no_row)]
    beats = [load.data(8 * config.beat_bytes * i + beat_bits, 8 * config.beat_bytes * i) for i in range(together)]
    given = ConcatSignal(*reversed(beats * (len(data) // (together * beat_bits))))
    return sums, select_pointers(clk, load.length_write, ConcatSignal(*reversed(fields)), given, data)


@block
def running_sum(clk, write, first, even_length, odd_length, even, odd, places: int):
    """Sum the lengths of a PE's columns (combinational, but for the sums that it keeps).

    **Ports**

    ======================= === ================================================
    write                   in  keep the sum behind these two columns
    first                   in  they are the first of their PE: the sum before them is 0
    even_length, odd_length in
    even, odd               out the sums before them, modulo a power of two
    ======================= === ================================================

    **Parameters**: `places`, the PEs that come here, one after another.
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

    # The PEs take turns: a shift register has a PE's sum when its turn comes again, without an address.
    sums = vector(places * width)
    top, oldest = places * width, (places - 1) * width

    @always_comb
    def recall():
        kept.next = sums[top:oldest]

    if oldest:

        @always(clk.posedge)
        def keep():
            if write:
                sums.next = concat(sums[oldest:], next_sum)
    else:

        @always(clk.posedge)
        def keep():
            if write:
                sums.next = next_sum

    return start, add, add_lengths, hand_over, recall, keep


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
