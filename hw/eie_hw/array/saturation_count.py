"""How many of the outputs that are written in a cycle are lost to saturation."""

from __future__ import annotations

from myhdl import always, block

from eie.contract.config import ArrayConfig
from eie.contract.functions import CURVES
from eie_hw.parts.array_interfaces import OutputFormat
from eie_hw.parts.interfaces import bit, vector

_CURVE = min(CURVES)


@block
def saturation_count(clk, write, form: OutputFormat, saturated, count, config: ArrayConfig):
    """Count the outputs of a step that are lost; those of tanh and sigmoid are flat where they saturate.

    **Ports**

    ========= === =====================================================================
    write     in  of an `OutputStep`
    form      in  holds from the `write` on for a cycle
    saturated in  a bit for each cluster: its output of that step is lost; two cycles after `write`
    count     out of each step
    ========= === =====================================================================

    **Timing**: `count` comes a cycle after `saturated`, and one more for each time that the clusters are halved.
    """
    counted_soon, counted = bit(), bit()
    clusters = config.words_per_group
    sums = [vector(1) for _ in range(clusters)] if clusters > 1 else [count]

    @always(clk.posedge)
    def judge():
        counted_soon.next = write and not (form.elementwise and form.operation >= _CURVE)
        counted.next = counted_soon

    units = [counted_bit(clk, saturated, counted, part, number) for number, part in enumerate(sums)]
    while len(sums) > 1:
        pairs = list(zip(sums[::2], sums[1::2], strict=True))
        sums = [vector(len(sums[0]) + 1) for _ in pairs] if len(pairs) > 1 else [count]
        units += [add_two(clk, *pair, total) for pair, total in zip(pairs, sums, strict=True)]
    return judge, units


@block
def counted_bit(clk, saturated, counted, part, number: int):
    @always(clk.posedge)
    def take():
        if saturated[number] and counted:
            part.next = 1
        else:
            part.next = 0

    return take


@block
def add_two(clk, first, second, total):
    @always(clk.posedge)
    def add():
        total.next = first + second

    return add
