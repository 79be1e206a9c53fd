"""READ: activations go from the activation memory to the host as an AXI4-Stream."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block

from eie.contract.config import WORD_BITS, ArrayConfig
from eie.contract.pipeline import RESULT_QUEUE
from eie_hw.parts.interfaces import ADDRESS_BITS, ActivationRead, ReadCommand, Stream, bit, counter, vector
from eie_hw.parts.memories import lut_ram

_POINTER_BITS = (RESULT_QUEUE - 1).bit_length()


@block
def result_stream(
    clk: Signal,
    reset: Signal,
    command: ReadCommand,
    memory: ActivationRead,
    sink: Stream,
    empty: Signal,
    config: ArrayConfig,
):
    """Send the groups of a READ, or the first words of each, four activations a word.

    **Ports**

    ======= === ==================================================================================
    clk     in
    reset   in  synchronous, active high; drops what has not been sent
    command in  the READ; `done` when all its words are in the queue
    memory  out read port of the activation memory: never asked for more than the queue can take
    sink    out stream; TLAST on the last word of a READ with `last`; tkeep all ones
    empty   out no word of an earlier READ is left to send
    ======= === ==================================================================================

    **Timing**: a word a cycle while the sink takes one. The next instruction runs while the queue empties.
    """
    asking = bit()
    ask = bit()
    ask_group = counter(ADDRESS_BITS)
    word = vector(len(memory.word))
    groups_left = vector(ADDRESS_BITS)
    taken_group = vector(ADDRESS_BITS)
    taken_word = vector(len(memory.word))
    on_last_word = bit()
    last_word = vector(len(memory.word))
    credit = vector(RESULT_QUEUE.bit_length())
    has_place = bit()
    written = counter(_POINTER_BITS + 1)
    fetched = counter(_POINTER_BITS + 1)
    write_slot = vector(_POINTER_BITS)
    fetch_slot = vector(_POINTER_BITS)
    entry = vector(WORD_BITS + 1)
    stored = vector(WORD_BITS + 1)
    left = counter(_POINTER_BITS + 1)
    waiting, fetch = bit(), bit()
    busy = bit()

    all_words = config.words_per_group - 1
    all_bytes = (1 << WORD_BITS // 8) - 1

    queue = lut_ram(clk, memory.valid, write_slot, entry, fetch_slot, stored)

    @always_comb
    def look():
        ask.next = asking and has_place
        on_last_word.next = taken_word == last_word and taken_group == 1
        left.next = written - fetched
        write_slot.next = written[_POINTER_BITS:]
        fetch_slot.next = fetched[_POINTER_BITS:]
        empty.next = not waiting and not busy

    @always_comb
    def choose():
        fetch.next = waiting and (sink.ready or not busy)

    @always_comb
    def tag():
        entry.next[WORD_BITS:] = memory.data
        entry.next[WORD_BITS] = on_last_word and command.last

    @always(clk.posedge)
    def limit_words():
        if command.start:
            if command.words == 0:
                last_word.next = all_words
            else:
                last_word.next = command.words - 1

    @always(clk.posedge)
    def ask_words():
        memory.enable.next = ask
        memory.group.next = ask_group
        memory.word.next = word
        if reset:
            memory.enable.next = False
            asking.next = False
        elif command.start:
            asking.next = True
            ask_group.next = command.address
            groups_left.next = command.count
            word.next = 0
        elif ask:
            if word == last_word:
                word.next = 0
                ask_group.next = ask_group + 1
                groups_left.next = groups_left - 1
                if groups_left == 1:
                    asking.next = False
            else:
                word.next = word + 1

    @always(clk.posedge)
    def take_words():
        command.done.next = memory.valid and on_last_word
        if reset:
            command.done.next = False
            written.next = 0
        elif command.start:
            taken_group.next = command.count
            taken_word.next = 0
        elif memory.valid:
            written.next = written + 1
            if taken_word == last_word:
                taken_word.next = 0
                taken_group.next = taken_group - 1
            else:
                taken_word.next = taken_word + 1

    # Whether there are any is a register, too: what is asked for need not wait for their number.
    @always(clk.posedge)
    def count_free_places():
        if reset:
            credit.next = RESULT_QUEUE
            has_place.next = True
        elif ask and not fetch:
            credit.next = credit - 1
            has_place.next = credit != 1
        elif fetch and not ask:
            credit.next = credit + 1
            has_place.next = True

    # Whether words wait is a register, too: `fetch` need not wait for the comparison of two pointers.
    @always(clk.posedge)
    def wait_in_queue():
        waiting.next = not reset and (memory.valid or (waiting and not (fetch and left == 1)))

    @always(clk.posedge)
    def send():
        sink.keep.next = all_bytes
        if reset:
            fetched.next = 0
            busy.next = False
        elif fetch:
            fetched.next = fetched + 1
            busy.next = True
            sink.data.next = stored[WORD_BITS:]
            sink.last.next = stored[WORD_BITS]
        elif sink.ready:
            busy.next = False

    @always_comb
    def offer():
        sink.valid.next = busy

    return (
        queue, look, choose, tag, limit_words, ask_words, take_words, count_free_places, wait_in_queue, send,
        offer,
    )  # fmt: skip
