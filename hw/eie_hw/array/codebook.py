"""The codebooks, and the copy of one of them into all PEs at the start of a COMPUTE."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, modbv

from eie.contract.config import CODEBOOK_SIZE, WEIGHT_BITS, WORD_BITS, ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiplexer import multiplexer


@block
def codebook(clk, reset, write, write_slot, write_part, data, start, slot, copy, index, weight, config: ArrayConfig):
    """Keep `codebooks` codebooks; copy one into the PEs, which hold just the one in use.

    **Ports**

    ========== === ==========================================================
    write      in  store `data`, 4 weights for each word of the stream, as part `write_part` of a slot
    start      in  begin to copy `slot`, which holds until the copy is done
    copy       out write `weight` as the weight of code `index`
    ========== === ==========================================================

    **Timing**: `start` in cycle t: `copy` in cycles t + 2 to t + `pipeline.COPY_CYCLES`, one code after another.
    """
    slot_bits = max(1, (config.codebooks - 1).bit_length())
    width = WORD_BITS * config.flit_words
    part_bits = (CODEBOOK_SIZE * WEIGHT_BITS // width - 1).bit_length()
    index_bits = (CODEBOOK_SIZE - 1).bit_length()
    lane_bits = index_bits - part_bits
    last = CODEBOOK_SIZE - 1

    write_address, read_address = vector(slot_bits + part_bits), vector(slot_bits + part_bits)
    stored = vector(width)
    current = Signal(modbv(0)[index_bits:])
    lane = vector(lane_bits)
    chosen = vector(WEIGHT_BITS)
    copying = bit()
    words = vector(width)

    @always_comb
    def trim():
        lane.next = current[lane_bits:]
        words.next = data[width:]

    if part_bits:

        @always_comb
        def place():
            write_address.next = concat(write_slot[slot_bits:], write_part[part_bits:])
            read_address.next = concat(slot[slot_bits:], current[index_bits:lane_bits])
    else:

        @always_comb
        def place():
            write_address.next = write_slot[slot_bits:]
            read_address.next = slot[slot_bits:]

    memory = lut_ram(clk, write, write_address, words, read_address, stored)
    choice = multiplexer(lane, stored, chosen)

    @always(clk.posedge)
    def step():
        if reset:
            copying.next = False
        elif start:
            copying.next = True
        elif current == last:
            copying.next = False
        if start:
            current.next = 0
        elif copying:
            current.next = current + 1
        copy.next = copying
        index.next = current
        if current == 0:
            weight.next = 0
        else:
            weight.next = chosen

    return trim, place, memory, choice, step
