"""The one writer of the activation memory: loads, and the outputs of STORE, never both in a cycle."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block, concat

from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, ArrayConfig
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
    load    in  loads of activations, four for each word of the stream; the words of a group come in order
    step    in  see `store_control`
    nonzero in  a bit for each word, one cycle after `write`: a non-zero was written
    write   out for all words; of what is kept, as many words as the stream brings at once, over and over
    summary out for `nonzero_groups`
    ======= === ==============================================================================

    **Timing**: a group whose last word comes in cycle t is written in t + STORE_WRITE + 1 and `summary.write` comes two
    cycles later.
    """
    words, together = config.words_per_group, config.flit_words
    data_bits, lanes = len(write.data), len(write.nonzero)
    group_bits = len(write.group)
    last_part = words // together - 1
    part_bits = max(1, last_part.bit_length())
    request_bits = 1 + group_bits + part_bits + data_bits
    top = request_bits - 1
    bits = ACTIVATION_BITS

    request, due = vector(request_bits), vector(request_bits)
    due_load, due_last, store_first = bit(), bit(), bit()
    last_kept = bit()
    kept_group = vector(group_bits)
    due_part = vector(part_bits)
    about, about_in_time = vector(3 + group_bits), vector(3 + group_bits)
    found, store_found = bit(), bit()
    nonzeros = [bit() for _ in range(lanes)]
    due_nonzero = ConcatSignal(*reversed(nonzeros))
    tests = [is_nonzero(due((i + 1) * bits, i * bits), nonzeros[i]) for i in range(lanes)]

    @always_comb
    def gather():
        request.next = concat(
            load.activation_write, load.address[group_bits:], load.pe[part_bits:], load.data[data_bits:]
        )

    delay_load = delay_line(clk, request, due, STORE_WRITE - 1)

    @always_comb
    def split():
        due_load.next = due[top]
        due_part.next = due[data_bits + part_bits : data_bits]
        due_last.next = due[top] and due[data_bits + part_bits : data_bits] == last_part
        store_first.next = step.lane == 0

    @always(clk.posedge)
    def to_memory():
        for i in range(words):
            write.keep.next[i] = due_load and due_part == i // together
        for i in range(ACTIVATIONS_PER_WORD):
            write.store.next[i] = step.write and step.lane == i
        write.data.next = due[data_bits:]
        write.nonzero.next = due_nonzero
        last_kept.next = due_last
        kept_group.next = due[top : data_bits + part_bits]
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

    return gather, tests, delay_load, split, to_memory, delay_about, collect, summarise, remember


@block
def is_nonzero(activation, nonzero):
    """Tell whether an activation is not zero."""

    @always_comb
    def compare():
        nonzero.next = activation != 0

    return compare
