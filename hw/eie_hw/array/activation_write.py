"""The one writer of the activation memory: loads, and the outputs of STORE, never both in a cycle."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, STREAM_BITS, ArrayConfig
from eie.contract.pipeline import STORE_WRITE
from eie_hw.parts.array_interfaces import ActivationWrite, GroupSummary, OutputStep
from eie_hw.parts.delay_line import delay_line
from eie_hw.parts.interfaces import LoadBus, bit, vector


@block
def activation_write(
    clk, load: LoadBus, step: OutputStep, nonzero, write: ActivationWrite, summary: GroupSummary, config: ArrayConfig
):
    """Time loads such that they meet no output of a STORE, and keep account of groups with a non-zero.

    The words of a load's group are gathered, each in its cluster, and written together with the last one. A step of a
    STORE writes STORE_WRITE + 1 cycles later. A load is held back by just as much, and `store_control` makes no step in
    the cycle of a group's last word: so the two share one write port without ever waiting for each other.

    **Ports**

    ======= === ==============================================================================
    load    in  loads of activations, four at a time; the words of a group come in order
    step    in  see `store_control`
    nonzero in  a bit for each word, one cycle after `write`: a non-zero was written
    write   out for all words
    summary out for `nonzero_groups`
    ======= === ==============================================================================

    **Timing**: a group whose last word comes in cycle t is written in t + STORE_WRITE + 1 and `summary.write` comes two
    cycles later.
    """
    words = config.words_per_group
    group_bits = len(write.group)
    word_bits = max(1, (words - 1).bit_length())
    request_bits = 1 + group_bits + word_bits + STREAM_BITS
    top = request_bits - 1
    bits = ACTIVATION_BITS

    request, due = vector(request_bits), vector(request_bits)
    due_load, due_last, store_first = bit(), bit(), bit()
    last_kept = bit()
    kept_group = vector(group_bits)
    last_word = words - 1
    due_word = vector(word_bits)
    about, about_in_time = vector(3 + group_bits), vector(3 + group_bits)
    found, store_found = bit(), bit()

    @always_comb
    def gather():
        request.next = concat(
            load.activation_write, load.address[group_bits:], load.pe[word_bits:], load.data[STREAM_BITS:]
        )

    delay_load = delay_line(clk, request, due, STORE_WRITE - 1)

    @always_comb
    def split():
        due_load.next = due[top]
        due_word.next = due[STREAM_BITS + word_bits : STREAM_BITS]
        due_last.next = due[top] and due[STREAM_BITS + word_bits : STREAM_BITS] == last_word
        store_first.next = step.lane == 0

    @always(clk.posedge)
    def to_memory():
        for i in range(words):
            write.keep.next[i] = due_load and due_word == i
        for i in range(ACTIVATIONS_PER_WORD):
            write.store.next[i] = step.write and step.lane == i
        write.data.next = due[STREAM_BITS:]
        write.nonzero.next[0] = due[bits:] != 0
        write.nonzero.next[1] = due[2 * bits : bits] != 0
        write.nonzero.next[2] = due[3 * bits : 2 * bits] != 0
        write.nonzero.next[3] = due[4 * bits : 3 * bits] != 0
        last_kept.next = due_last
        kept_group.next = due[top : STREAM_BITS + word_bits]
        write.load.next = last_kept
        if last_kept:
            write.group.next = kept_group
            about.next = concat(last_kept, step.write, store_first, kept_group)
        else:
            write.group.next = step.group
            about.next = concat(last_kept, step.write, store_first, step.group)

    delay_about = delay_line(clk, about, about_in_time, 2)

    @always(clk.posedge)
    def collect():
        found.next = nonzero != 0

    @always_comb
    def summarise():
        summary.write.next = about_in_time[group_bits + 2] or about_in_time[group_bits + 1]
        summary.group.next = about_in_time[group_bits:]
        if about_in_time[group_bits + 2]:
            summary.nonzero.next = found
        else:
            summary.nonzero.next = found or (store_found and not about_in_time[group_bits])

    @always(clk.posedge)
    def remember():
        if about_in_time[group_bits + 1]:
            store_found.next = summary.nonzero

    return gather, delay_load, split, to_memory, delay_about, collect, summarise, remember
