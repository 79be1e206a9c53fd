"""Which accumulators each of the COMPUTEs in progress uses."""

from __future__ import annotations

from myhdl import always, block

from eie.contract.config import ArrayConfig
from eie_hw.parts.array_interfaces import AccumulatorParts


@block
def accumulator_parts(clk, walk, tag, part, parts: AccumulatorParts, config: ArrayConfig):
    """Keep the part of the accumulators that a COMPUTE uses, for each tag.

    **Ports**

    ===== === =====================================================================
    walk  in  the walk of a COMPUTE begins:
    tag   in  its tag
    part  in  its field: 0 or 1 all accumulators, 2 and 3 halves, 4 to 7 quarters
    parts out see `AccumulatorParts`
    ===== === =====================================================================

    **Timing**: one cycle.
    """
    has_halves = config.rows > 1
    has_quarters = config.rows > 2

    @always(clk.posedge)
    def keep():
        if walk and tag:
            parts.fix_top_1.next = has_halves and part > 1
            parts.fix_next_1.next = has_quarters and part[2]
            parts.next_1.next = part[0]
            if part[2]:
                parts.top_1.next = part[1]
            else:
                parts.top_1.next = part[0]
        elif walk:
            parts.fix_top_0.next = has_halves and part > 1
            parts.fix_next_0.next = has_quarters and part[2]
            parts.next_0.next = part[0]
            if part[2]:
                parts.top_0.next = part[1]
            else:
                parts.top_0.next = part[0]

    return keep
