"""Pointer memories a power of two of pairs deep, and one pointer more: the end of a tile's last column."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.config import ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import block_ram


@block
def pointers_and_last(
    clk, write, write_address, even_data, odd_data, even_address, odd_address, even, odd, config: ArrayConfig
):
    """Hold a PE's pointers where the last one of a bank has no word in the memory (`ArrayConfig.last_end_apart`).

    **Ports**

    =================== === =======================================================================
    write               in  store a pair
    write_address       in  bank and pair; of the last pair, the odd pointer is no tile's: it is lost
    even_data, odd_data in  the pair's pointers
    even_address        in  bank and pair of an even pointer
    odd_address         in  bank and pair of an odd one, never the last
    even, odd           out the pointers, one cycle later
    =================== === =======================================================================

    **Timing**: that of `block_ram`.
    """
    last_bit = (config.pointer_depth - 1).bit_length()
    bank_bit = last_bit + 1
    word_bits = config.banks - 1 + last_bit
    write_word, even_word, odd_word = (vector(word_bits) for _ in range(3))
    write_memory, is_last = bit(), bit()
    from_memory = vector(len(even))
    last = vector(len(even))

    @always_comb
    def split():
        write_memory.next = write and not write_address[last_bit]

    if config.banks > 1:

        @always_comb
        def place():
            write_word.next = concat(write_address[bank_bit], write_address[last_bit:])
            even_word.next = concat(even_address[bank_bit], even_address[last_bit:])
            odd_word.next = concat(odd_address[bank_bit], odd_address[last_bit:])
    else:

        @always_comb
        def place():
            write_word.next = write_address[last_bit:]
            even_word.next = even_address[last_bit:]
            odd_word.next = odd_address[last_bit:]

    even_memory = block_ram(clk, write_memory, write_word, even_data, even_word, from_memory)
    odd_memory = block_ram(clk, write_memory, write_word, odd_data, odd_word, odd)

    @always(clk.posedge)
    def follow():
        is_last.next = even_address[last_bit]

    if config.banks > 1:
        bank = bit()
        last_0, last_1 = vector(len(even)), vector(len(even))

        @always(clk.posedge)
        def keep():
            bank.next = even_address[bank_bit]
            if write and write_address[last_bit]:
                if write_address[bank_bit]:
                    last_1.next = even_data
                else:
                    last_0.next = even_data

        @always_comb
        def choose_bank():
            if bank:
                last.next = last_1
            else:
                last.next = last_0

        kept = keep, choose_bank
    else:

        @always(clk.posedge)
        def keep():
            if write and write_address[last_bit]:
                last.next = even_data

        kept = keep

    @always_comb
    def choose():
        if is_last:
            even.next = last
        else:
            even.next = from_memory

    return split, place, even_memory, odd_memory, follow, kept, choose
