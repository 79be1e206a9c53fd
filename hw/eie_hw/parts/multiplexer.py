"""A multiplexer over equal parts of a vector."""

from __future__ import annotations

from myhdl import always_comb, block

from eie_hw.parts.interfaces import vector


@block
def multiplexer(number, data, chosen):
    """Choose part `number` of `data`; parts are as wide as `chosen`, part 0 in the low bits.

    **Ports**: `number` in, `data` in (2 ** len(number) parts), `chosen` out.

    **Timing**: combinational.
    """
    if len(data) != len(chosen) << len(number):
        raise ValueError(f"{len(number)} select bits do not match {len(data)} -> {len(chosen)} bits")
    half = len(data) // 2
    top = len(number) - 1
    if top == 0:

        @always_comb
        def choose():
            if number[0]:
                chosen.next = data[2 * half : half]
            else:
                chosen.next = data[half:]

        return choose

    part = vector(half)
    rest = vector(top)

    @always_comb
    def halve():
        rest.next = number[top:]
        if number[top]:
            part.next = data[2 * half : half]
        else:
            part.next = data[half:]

    return halve, multiplexer(rest, part, chosen)
