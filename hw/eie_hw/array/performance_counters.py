"""Performance counters: a few bits in each PE, widened by a central unit that visits one PE after another."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, modbv

from eie.contract.config import ArrayConfig
from eie_hw.element.element_counters import count_bits
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.multiplexer import multiplexer

COUNTER_BITS = 32
VISIT_LATENCY = 2
"""Cycles from a visit's number to the PE's counts."""


@block
def performance_counters(
    clk,
    reset,
    computing,
    visit,
    cluster_counts,
    read_enable,
    read_pe,
    read_select,
    read_ready,
    read_value,
    config: ArrayConfig,
):
    """Widen the small counters of all PEs to 32 bits, and read them out.

    The low bits of a counter are the PE's small counter; this unit holds the high bits and adds one to them whenever
    the small counter is below its value at the last visit.

    **Ports**

    =========== === ==============================================================================================
    reset       in  all counters start from 0; the PEs' counters are zeroed too
    computing   in  high in every cycle of a COMPUTE
    visit       out the PE to visit
    cluster_counts  in  one cycle later, of every cluster: (blocked, padding, work) of its PE of that number
    read_enable, read_pe, read_select  in, read_ready, read_value out: `eie_hw.parts.interfaces.CounterRead`
    =========== === ==============================================================================================

    **Timing**: every PE is visited once in N cycles. A read takes at most 2 N + 5 cycles.
    """
    bits = count_bits(config)
    pe_bits = max(1, (config.num_pes - 1).bit_length())
    last_pe = config.num_pes - 1
    high_bits = COUNTER_BITS - bits

    # Numbers of PEs are powers of two: what follows wraps around.
    next_visit = Signal(modbv(0)[pe_bits:])
    step = 1 if last_pe else 0
    visit_1, visited = vector(pe_bits), vector(pe_bits)
    settle = vector(pe_bits + 2)
    fresh = bit()
    stored, held, updated = (vector(3 * COUNTER_BITS) for _ in range(3))
    old_parts = [vector(COUNTER_BITS) for _ in range(3)]
    highs = [Signal(modbv(0)[high_bits:]) for _ in range(3)]
    lows = [vector(bits) for _ in range(3)]
    cycles = Signal(modbv(0)[COUNTER_BITS:])
    work_count, padding, blocked, entries, starved = (Signal(modbv(0)[COUNTER_BITS:]) for _ in range(5))
    captured, summed = bit(), bit()
    always_write = bit()
    counts, chosen = vector(3 * bits), vector(3 * bits)

    # Read a cycle ahead: behind a register, the sum has the whole cycle. That the PE's last visit is written by then
    # takes two PEs; of a single one, visits alternate between two sums, each of them right.
    memory = lut_ram(clk, always_write, visited, updated, visit_1, stored)

    cluster_bits = (config.words_per_group - 1).bit_length()
    if cluster_bits:
        number = vector(cluster_bits)

        @always_comb
        def locate():
            number.next = visit_1[pe_bits : pe_bits - cluster_bits]

        choice = (locate, multiplexer(number, cluster_counts, chosen))
    else:

        @always_comb
        def only():
            chosen.next = cluster_counts

        choice = (only,)

    @always_comb
    def enable():
        # Every visit writes back.
        always_write.next = visited <= last_pe

    @always_comb
    def follow():
        next_visit.next = visit + step

    @always(clk.posedge)
    def walk():
        visit.next = next_visit
        visit_1.next = visit
        visited.next = visit_1
        counts.next = chosen
        held.next = stored
        if computing:
            cycles.next = cycles + 1
        if reset:
            visit.next = 0
            cycles.next = 0
            settle.next = 0
            fresh.next = True
        elif settle == last_pe + VISIT_LATENCY + 1:
            fresh.next = False
        else:
            settle.next = settle + 1

    widen = [widen_counter(held, counts, fresh, i, old_parts[i], highs[i], lows[i], config) for i in range(3)]
    high0, high1, high2 = highs
    low0, low1, low2 = lows

    @always_comb
    def assemble():
        updated.next = concat(high2, low2, high1, low1, high0, low0)

    @always_comb
    def subtract():
        starved.next = cycles - entries

    @always(clk.posedge)
    def answer():
        captured.next = read_enable and not fresh and visited == read_pe and not captured
        if visited == read_pe:
            work_count.next = concat(high0, low0)
            padding.next = concat(high1, low1)
            blocked.next = concat(high2, low2)
        summed.next = captured and read_enable
        entries.next = work_count + padding
        read_ready.next = summed and read_enable
        if read_select == 0:
            read_value.next = work_count
        elif read_select == 1:
            read_value.next = padding
        elif read_select == 2:
            read_value.next = starved
        else:
            read_value.next = blocked

    return memory, choice, enable, follow, walk, widen, assemble, subtract, answer


@block
def widen_counter(held, counts, fresh, number, old_part, high, low, config: ArrayConfig):
    """Compute one counter's updated value at a visit: the high bits go up when the low bits went round."""
    bits = count_bits(config)
    start = number * COUNTER_BITS
    small = number * bits

    @always_comb
    def take():
        old_part.next = held[start + COUNTER_BITS : start]
        low.next = counts[small + bits : small]

    @always_comb
    def carry():
        if fresh:
            high.next = 0
        elif low < old_part[bits:]:
            high.next = old_part[COUNTER_BITS:bits] + 1
        else:
            high.next = old_part[COUNTER_BITS:bits]

    return take, carry
