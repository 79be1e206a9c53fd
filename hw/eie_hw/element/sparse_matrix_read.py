"""The sparse-matrix read unit: one entry a cycle from words that hold several."""

from __future__ import annotations

from itertools import pairwise

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat, modbv

from eie.contract.config import ACTIVATION_BITS, CODE_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import Entry, QueuedColumn
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ElementLoads
from eie_hw.parts.memories import block_ram, ultra_ram
from eie_hw.parts.multiplexer import multiplexer


@block
def sparse_matrix_read(
    clk, reset, loads: ElementLoads, hold, oldest, head: QueuedColumn, busy, given: Entry, config: ArrayConfig
):
    """Read the entries of one column after another.

    **Ports**

    ====== === =======================================================================
    loads  in  entries to store
    hold   in  issue no entry and take no column
    oldest in  tag of the oldest COMPUTE in progress
    head       a column that waits; `pop` is out: it is taken
    busy   out a column of that COMPUTE is waiting, or entries of it remain to be issued
    given  out its entries
    ====== === =======================================================================

    **Timing**: a column waiting in cycle t, with no earlier one unfinished, gives its first entry in cycle
    t + `pipeline.ENTRY_LATENCY`; then one entry a cycle without a gap between words or columns. An empty column
    takes one cycle.
    """
    start_bits = config.start_bits
    entry_bits = config.entry_bits
    select_bits = (config.entries_per_word - 1).bit_length()
    word_bits = start_bits - select_bits

    following = Signal(modbv(0)[start_bits:])
    next_address = Signal(modbv(0)[start_bits:])
    address, finish, last = (vector(start_bits) for _ in range(3))
    idle, ended, next_valid, issue, issued, issued_first = (bit() for _ in range(6))
    third = max(1, start_bits // 3)
    bounds = sorted({0, start_bits - 2 * third, start_bits - third, start_bits})
    part_differs = [bit() for _ in bounds[1:]]
    all_differs = ConcatSignal(*part_differs)
    differs = vector(len(part_differs))
    row = vector(len(head.first_row))
    column_activation = vector(ACTIVATION_BITS)
    word = vector(config.word_bits)
    entry = vector(entry_bits)
    word_address = vector(len(loads.entry_address))
    column_tag, column_bank, word_bank = bit(), bit(), bit()

    if config.skip_empty:

        @always_comb
        def look_ahead():
            next_valid.next = head.valid
    else:

        @always_comb
        def look_ahead():
            next_valid.next = head.valid and head.even != head.odd

    @always_comb
    def arbitrate():
        if not idle:
            address.next = following
            finish.next = last
        elif head.swapped:
            address.next = head.odd
            finish.next = head.even
        else:
            address.next = head.even
            finish.next = head.odd
        if idle:
            word_bank.next = head.bank
            issue.next = next_valid and not hold
        else:
            word_bank.next = column_bank
            issue.next = not hold

    @always_comb
    def handshake():
        busy.next = (head.valid and head.tag == oldest) or (not idle and column_tag == oldest)
        next_address.next = address + 1

    # Whether entries of the column remain is known a cycle ahead, but for the three parts of the comparison: the choice
    # of a column's start and end comes late, and behind it there is no time for more.
    @always_comb
    def gather():
        differs.next = all_differs

    taking = entity(take_column(differs, head.valid, hold, head.pop))

    @always_comb
    def tell():
        idle.next = differs == 0
        ended.next = reset or (differs == 0 and not next_valid)

    parts = [
        differ(clk, ended, hold, next_address(high, low), finish(high, low), part)
        for part, (low, high) in zip(part_differs, pairwise(bounds), strict=True)
    ]

    @always(clk.posedge)
    def advance_address():
        last.next = finish
        if issue:
            following.next = next_address
        if head.pop:
            column_tag.next = head.tag
            column_bank.next = head.bank
            column_activation.next = head.activation
            row.next = head.first_row
        if reset:
            # Whatever 0 is multiplied with, the product is 0; a simulator of VHDL wants to know that factor, too.
            column_activation.next = 0
        issued.next = issue and not reset
        issued_first.next = idle and issue

    # Word address: bank above the word number; either may have no bits.
    if config.banks > 1 and word_bits > 0:

        @always_comb
        def place():
            word_address.next = concat(word_bank, address[start_bits:select_bits])
    elif config.banks > 1:

        @always_comb
        def place():
            word_address.next = word_bank
    elif word_bits > 0:

        @always_comb
        def place():
            word_address.next = address[start_bits:select_bits]
    else:

        @always_comb
        def place():
            word_address.next = address[0] and not address[0]

    entry_ram = ultra_ram if config.ultra_ram else block_ram
    memory = entry_ram(clk, loads.entry_write, loads.entry_address, loads.entry_data, word_address, word)

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
        given.valid.next = issued
        given.first.next = issued_first
        given.row.next = row
        given.activation.next = column_activation
        given.tag.next = column_tag
        if issued:
            held.next = part
        else:
            held.next = 0

    @always_comb
    def split():
        given.code.next = entry[CODE_BITS:]
        given.index.next = entry[entry_bits:CODE_BITS]

    return (
        look_ahead, arbitrate, handshake, gather, taking, tell, parts, advance_address, place, memory,
        first_choice, last_choice, deliver, split,
    )  # fmt: skip


@block
def take_column(differs, valid, hold, pop):
    """Take a column that is `valid` if no entries of the one before remain, unless `hold` (combinational). An entity,
    lest a tool makes it of `idle`, which the choice of addresses makes late."""

    @always_comb
    def decide():
        pop.next = valid and not hold and differs == 0

    return decide


@block
def differ(clk, none, hold, first, second, different):
    """Register whether two values differ, unless `hold`; if there are `none`, they do not."""

    @always(clk.posedge)
    def compare():
        if none:
            different.next = False
        elif not hold:
            different.next = first != second

    return compare
