"""The row scales of up to four clusters, which read them in step: one block memory, not a half-empty one each."""

from __future__ import annotations

from myhdl import always, always_comb, block, concat

from eie.contract.config import SCALE_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import OutputSelect
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ScaleLoad
from eie_hw.parts.memories import block_ram


@block
def row_scales(clk, load: ScaleLoad, select: OutputSelect, scales, config: ArrayConfig):
    """Give each cluster the scale of the row that its output unit takes.

    **Ports**

    ====== === =======================================================
    load   in  see `ScaleLoad`
    select in  see `output_unit`; not of a row whose scales are loaded
    scales out of all its clusters, the first one in the low bits
    ====== === =======================================================

    **Timing**: `scales` come two cycles after `select`, one a cycle.
    """
    width = SCALE_BITS * config.scale_clusters
    address_bits = len(load.element) + len(load.row)
    writing = bit()
    write_address, read_address = vector(address_bits), vector(address_bits)
    data = vector(width)

    @always(clk.posedge)
    def locate():
        writing.next = load.write
        write_address.next = concat(load.element, load.row)
        read_address.next = concat(select.element, select.bias_row)

    @always_comb
    def trim():
        data.next = load.data[width:]

    memory = block_ram(clk, writing, write_address, data, read_address, scales)

    return locate, trim, memory
