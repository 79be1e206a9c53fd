"""The codebooks, and the copy of one of them into all PEs at the start of a COMPUTE."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, modbv

from eie.contract.config import ACTIVATIONS_PER_WORD, CODEBOOK_SIZE, STREAM_BITS, WEIGHT_BITS, ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiplexer import multiplexer


@block
def codebook(clk, reset, write, write_slot, write_word, data, start, slot, copy, index, weight, config: ArrayConfig):
    """Keep `codebooks` codebooks; copy one into the PEs, which hold just the one in use.

    **Ports**

    ========== === ==========================================================
    write      in  store `data`, 4 weights, as word `write_word` of a slot
    start      in  begin to copy `slot`, which holds until the copy is done
    copy       out write `weight` as the weight of code `index`
    ========== === ==========================================================

    **Timing**: `start` in cycle t: `copy` in cycles t + 2 to t + `pipeline.COPY_CYCLES`, one code after another.
    """
    slot_bits = max(1, (config.codebooks - 1).bit_length())
    word_bits = (CODEBOOK_SIZE // ACTIVATIONS_PER_WORD - 1).bit_length()
    index_bits = (CODEBOOK_SIZE - 1).bit_length()
    lane_bits = index_bits - word_bits
    last = CODEBOOK_SIZE - 1

    write_address, read_address = vector(slot_bits + word_bits), vector(slot_bits + word_bits)
    stored = vector(STREAM_BITS)
    current = Signal(modbv(0)[index_bits:])
    lane = vector(lane_bits)
    chosen = vector(WEIGHT_BITS)
    copying = bit()
    words = vector(STREAM_BITS)

    @always_comb
    def place():
        write_address.next = concat(write_slot[slot_bits:], write_word[word_bits:])
        read_address.next = concat(slot[slot_bits:], current[index_bits:lane_bits])
        lane.next = current[lane_bits:]
        words.next = data[STREAM_BITS:]

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

    return place, memory, choice, step
