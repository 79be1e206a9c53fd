"""The counters of the machine as a whole; those of each PE are in its performance counters."""

from __future__ import annotations

from myhdl import Signal, always, block

from eie.contract import pipeline
from eie_hw.parts.interfaces import Status, WideCounters

_DRAIN = pipeline.DRAIN_CYCLES


@block
def cycle_counters(
    clk: Signal,
    reset: Signal,
    clear: Signal,
    idle: Signal,
    stalled: Signal,
    status: Status,
    counters: WideCounters,
):
    """Count what `eie.contract.registers.WIDE_COUNTERS` names.

    **Ports**

    ============= === ==================================================================
    clk           in
    reset         in  synchronous, active high; zeroes all
    clear         in  zeroes all
    idle          in  counts while low
    stalled       in  counts
    status        in  of the array
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
            counters.start.next = 0
            counters.drain.next = 0
            counters.saturated.next = 0
        else:
            if status.computing:
                counters.cycles.next = counters.cycles + 1
            if status.broadcast:
                counters.broadcasts.next = counters.broadcasts + 1
            if not idle:
                counters.busy.next = counters.busy + 1
            if stalled:
                counters.stalled.next = counters.stalled + 1
            if status.starting:
                counters.start.next = counters.start + 1
            if status.drained:
                counters.drain.next = counters.drain + _DRAIN
            counters.saturated.next = counters.saturated + status.saturated

    return count
