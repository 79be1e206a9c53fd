"""A delay of some cycles."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie_hw.parts.interfaces import vector


@block
def delay_line(clk, data, delayed, cycles: int):
    """Delay a vector: `delayed` is `data` of `cycles` cycles ago. Never reset, so that nothing on its way is lost."""
    width = len(data)
    if cycles == 0:

        @always_comb
        def through():
            delayed.next = data

        return through
    if cycles == 1:

        @always(clk.posedge)
        def once():
            delayed.next = data

        return once

    line = vector(cycles * width)
    top, kept = cycles * width, (cycles - 1) * width

    @always(clk.posedge)
    def shift():
        line.next = concat(line[kept:], data)

    @always_comb
    def drive():
        delayed.next = line[top:kept]

    return shift, drive
