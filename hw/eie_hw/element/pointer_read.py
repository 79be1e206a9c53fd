"""The pointer read unit: both pointers of a column in one cycle, from an even and an odd bank."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.config import ArrayConfig
from eie_hw.element.last_pointer import pointers_and_last
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import block_ram


@block
def pointer_read(
    clk,
    write,
    write_address,
    write_data,
    column_valid,
    column_odd,
    even_address,
    odd_address,
    push,
    column,
    swapped,
    config: ArrayConfig,
):
    """Look up a column's entries.

    Pointer p_j of column j is the even word of pair j / 2 for even j, else the odd word. All PEs look up the same
    column, so the addresses of p_j and p_(j+1) are computed once for the whole array.

    **Ports**

    ============= === ==========================================================================
    write         in  store a pair: `write_data` is (odd word, even word), `pointer_bits` each
    write_address in  bank and pair
    column_valid  in  there is a column to look up
    column_odd    in  its number is odd: p_j is in the odd memory
    even_address  in  bank and pair of the even word
    odd_address   in  bank and pair of the odd word
    push          out the column goes to the queue: it has entries, or empty columns are kept
    column        out (first row if carried, odd word, even word), addresses of entries
    swapped       out the column is odd: the odd word is its start, the even one its end
    ============= === ==========================================================================

    **Timing**: a column looked up in cycle t is pushed in cycle t + `pipeline.COLUMN_LATENCY`. The register behind the
    memories is the block RAM's own where it has one: their read takes most of a cycle, the comparison of the pointers
    is in the next.
    """
    width = config.pointer_bits
    start_bits = config.start_bits
    skip_empty = config.skip_empty
    even_read, odd_read, even, odd, even_data, odd_data = (vector(width) for _ in range(6))
    reading, reading_odd, valid, is_odd = (bit() for _ in range(4))

    @always_comb
    def split():
        even_data.next = write_data[width:0]
        odd_data.next = write_data[2 * width : width]

    if config.last_end_apart:
        memories = pointers_and_last(
            clk, write, write_address, even_data, odd_data, even_address, odd_address, even_read, odd_read, config
        )
    else:
        even_memory = block_ram(clk, write, write_address, even_data, even_address, even_read)
        odd_memory = block_ram(clk, write, write_address, odd_data, odd_address, odd_read)
        memories = even_memory, odd_memory

    @always(clk.posedge)
    def follow():
        reading.next = column_valid
        reading_odd.next = column_odd
        valid.next = reading
        is_odd.next = reading_odd
        even.next = even_read
        odd.next = odd_read

    if skip_empty:

        @always_comb
        def decide():
            push.next = valid and even[start_bits:] != odd[start_bits:]
    else:

        @always_comb
        def decide():
            push.next = valid

    @always_comb
    def pass_on():
        swapped.next = is_odd

    if config.first_row and config.row_bits:

        @always_comb
        def assemble():
            if is_odd:
                column.next = concat(odd[width:start_bits], odd[start_bits:], even[start_bits:])
            else:
                column.next = concat(even[width:start_bits], odd[start_bits:], even[start_bits:])
    else:

        @always_comb
        def assemble():
            column.next = concat(odd[start_bits:], even[start_bits:])

    return split, memories, follow, decide, pass_on, assemble
