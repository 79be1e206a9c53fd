"""The counters of the machine as a whole; those of each PE are in its performance counters."""

from __future__ import annotations

from myhdl import Signal, always, block

from eie_hw.parts.interfaces import WideCounters


@block
def cycle_counters(
    clk: Signal,
    reset: Signal,
    clear: Signal,
    computing: Signal,
    broadcast: Signal,
    idle: Signal,
    stalled: Signal,
    counters: WideCounters,
):
    """Count what `eie.contract.registers.WIDE_COUNTERS` names.

    **Ports**

    ============= === ==================================================================
    clk           in
    reset         in  synchronous, active high; zeroes all
    clear         in  zeroes all
    computing     in  counts: a COMPUTE is in progress
    broadcast     in  counts
    idle          in  counts while low
    stalled       in  counts
    counters      out
    ============= === ==================================================================
    """

    @always(clk.posedge)
    def count():
        if reset or clear:
            counters.cycles.next = 0
            counters.broadcasts.next = 0
            counters.busy.next = 0
            counters.stalled.next = 0
        else:
            if computing:
                counters.cycles.next = counters.cycles + 1
            if broadcast:
                counters.broadcasts.next = counters.broadcasts + 1
            if not idle:
                counters.busy.next = counters.busy + 1
            if stalled:
                counters.stalled.next = counters.stalled + 1

    return count
