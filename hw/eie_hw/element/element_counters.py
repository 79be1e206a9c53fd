"""The performance counters of one PE: a few bits each, widened by `performance_counters`."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, modbv

from eie.contract.config import ArrayConfig
from eie_hw.parts.interfaces import bit


def count_bits(config: ArrayConfig) -> int:
    """Return the bits of a small counter: it may not go full circle between two visits."""
    return config.num_pes.bit_length() + 1


@block
def element_counters(clk, reset, entry_valid, code, full, waiting, counts, config: ArrayConfig):
    """Count, in one PE, modulo a small power of two: work entries, padding entries, broadcasts held back.

    **Ports**

    =========== === ========================================================================================
    reset       in  zero the counters
    entry_valid in  an entry with `code`; code 0 is padding
    full        in  the PE's queue is full
    waiting     in  three cycles after `full`: a broadcast was there and was held back
    counts      out (blocked, padding, work), `count_bits` each
    =========== === ========================================================================================

    **Timing**: an event of cycle t is counted in `counts` in cycle t + 1.
    """
    bits = count_bits(config)
    work_count, padding, blocked = (Signal(modbv(0)[bits:]) for _ in range(3))
    full_1, full_2, full_3 = bit(), bit(), bit()

    @always(clk.posedge)
    def count():
        full_1.next = full
        full_2.next = full_1
        full_3.next = full_2
        if entry_valid and code != 0:
            work_count.next = work_count + 1
        if entry_valid and code == 0:
            padding.next = padding + 1
        if waiting and full_3:
            blocked.next = blocked + 1
        if reset:
            work_count.next = 0
            padding.next = 0
            blocked.next = 0

    @always_comb
    def assemble():
        counts.next = concat(blocked, padding, work_count)

    return count, assemble
