"""The sparse-matrix read unit: one entry a cycle from words that hold several."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, modbv

from eie.contract.config import ACTIVATION_BITS, CODE_BITS, ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import block_ram
from eie_hw.parts.multiplexer import multiplexer


@block
def sparse_matrix_read(
    clk,
    reset,
    write,
    write_address,
    write_data,
    bank,
    queue_valid,
    start,
    finish,
    single,
    first_row,
    activation,
    pop,
    busy,
    entry_valid,
    code,
    index,
    entry_first,
    entry_row,
    entry_activation,
    config: ArrayConfig,
):
    """Read the entries of one column after another.

    **Ports**

    ================ === =======================================================================
    write            in  store `write_data`, one word
    write_address    in  bank and word
    bank             in  the bank to read
    queue_valid      in  a column is waiting:
    start, finish    in  its first entry, and the one after its last; equal if it is empty, which with
                         `skip_empty` no column here is
    single           in  it has just one entry
    first_row        in  row before which its relative indices count
    activation       in  to be multiplied with its entries
    pop              out the column is taken
    busy             out a column is waiting or entries remain to be issued
    entry_valid      out an entry:
    code, index      out its code and relative index
    entry_first      out it is its column's first; like `code` and `index`, 0 while there is no entry
    entry_row        out `first_row` of its column
    entry_activation out `activation` of its column
    ================ === =======================================================================

    **Timing**: a column waiting in cycle t, with no earlier one unfinished, gives its first entry in cycle
    t + `pipeline.ENTRY_LATENCY`; then one entry a cycle without a gap between words or columns. An empty column
    takes one cycle.
    """
    start_bits = config.start_bits
    entry_bits = config.entry_bits
    select_bits = (config.entries_per_word - 1).bit_length()
    word_bits = start_bits - select_bits

    following = Signal(modbv(0)[start_bits:])
    last = vector(start_bits)
    address = vector(start_bits)
    following_one = Signal(modbv(0)[start_bits:])
    unfinished, idle, next_valid, issue, issued, issued_first = (bit() for _ in range(6))
    row = vector(len(first_row))
    column_activation = vector(ACTIVATION_BITS)
    word = vector(config.word_bits)
    entry = vector(entry_bits)
    word_address = vector(len(write_address))

    if config.skip_empty:

        @always_comb
        def look_ahead():
            next_valid.next = queue_valid
    else:

        @always_comb
        def look_ahead():
            next_valid.next = queue_valid and start != finish

    @always_comb
    def arbitrate():
        if idle:
            address.next = start
            issue.next = next_valid
        else:
            address.next = following
            issue.next = True

    @always_comb
    def handshake():
        idle.next = not unfinished
        pop.next = not unfinished and queue_valid
        busy.next = queue_valid or unfinished
        following_one.next = following + 1

    # Whether entries of the column remain is known a cycle ahead: by then it need not be compared.
    @always(clk.posedge)
    def advance_address():
        if reset:
            unfinished.next = False
        elif unfinished:
            unfinished.next = following_one != last
        else:
            unfinished.next = next_valid and not single
        if issue:
            following.next = address + 1
        if pop:
            last.next = finish
            column_activation.next = activation
            row.next = first_row
        if reset:
            # Whatever 0 is multiplied with, the product is 0; a simulator of VHDL wants to know that factor, too.
            column_activation.next = 0
        issued.next = issue and not reset
        issued_first.next = idle and issue

    # Word address: bank above the word number; either may have no bits.
    if config.banks > 1 and word_bits > 0:

        @always_comb
        def place():
            word_address.next = concat(bank, address[start_bits:select_bits])
    elif config.banks > 1:

        @always_comb
        def place():
            word_address.next = bank
    elif word_bits > 0:

        @always_comb
        def place():
            word_address.next = address[start_bits:select_bits]
    else:

        @always_comb
        def place():
            word_address.next = address[0] and not address[0]

    memory = block_ram(clk, write, write_address, write_data, word_address, word)

    # The memory's word comes late in its cycle: the last 2-way choice is left to the next one.
    part_bits = entry_bits if select_bits == 0 else 2 * entry_bits
    part, held = vector(part_bits), vector(part_bits)
    if select_bits > 1:
        position = vector(select_bits)
        pair_number = vector(select_bits - 1)

        @always(clk.posedge)
        def follow():
            position.next = address[select_bits:]

        @always_comb
        def number_pair():
            pair_number.next = position[select_bits:1]

        first_choice = (follow, number_pair, multiplexer(pair_number, word, part))
    else:

        @always_comb
        def whole():
            part.next = word

        first_choice = (whole,)

    if select_bits:
        odd, held_odd = bit(), vector(1)

        @always(clk.posedge)
        def follow_odd():
            odd.next = address[0]
            held_odd.next = odd

        last_choice = (follow_odd, multiplexer(held_odd, held, entry))
    else:

        @always_comb
        def only():
            entry.next = held

        last_choice = (only,)

    @always(clk.posedge)
    def deliver():
        entry_valid.next = issued
        entry_first.next = issued_first
        entry_row.next = row
        entry_activation.next = column_activation
        if issued:
            held.next = part
        else:
            held.next = 0

    @always_comb
    def split():
        code.next = entry[CODE_BITS:]
        index.next = entry[entry_bits:CODE_BITS]

    return (
        look_ahead, arbitrate, handshake, advance_address, place, memory, first_choice, last_choice, deliver, split,
    )  # fmt: skip
