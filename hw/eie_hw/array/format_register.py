"""The output format: what the last FORMAT said."""

from __future__ import annotations

from myhdl import always, block


@block
def format_register(clk, reset, start, done, new_pre_shift, new_low, new_high, pre_shift, low, high):
    """Keep the fields of the last FORMAT.

    **Ports**

    ============================== === ==============================================================
    start, done, new_pre_shift, new_low, new_high  of `eie_hw.parts.interfaces.FormatCommand`
    pre_shift, low, high           out for the output units, see `OutputFormat`; 0 after reset
    ============================== === ==============================================================

    **Timing**: `done` comes one cycle after `start`, with the new fields.
    """

    @always(clk.posedge)
    def keep():
        done.next = start and not reset
        if reset:
            pre_shift.next = 0
            low.next = 0
            high.next = 0
        elif start:
            pre_shift.next = new_pre_shift
            low.next = new_low
            high.next = new_high

    return keep
