"""The activation memory: one word of every group, four lanes, with the mask of its non-zero lanes."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, ArrayConfig
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram


@block
def activation_memory(
    clk,
    load_write,
    load_data,
    load_nonzero,
    store_write,
    store_data,
    write_group,
    nonzero,
    read_group,
    word,
    mask_group,
    mask,
    config: ArrayConfig,
):
    """Hold four lanes of every activation group.

    **Ports**

    ============ === =========================================================================
    load_write   in  write all lanes of `write_group`: `load_data`
    load_nonzero in  with `load_data`: the lanes that are not zero
    store_write  in  a bit a lane: write `store_data` there; 0 while `load_write`
    nonzero      out a non-zero was written in the cycle before
    read_group   in
    word         out its four lanes, one cycle later
    mask_group   in
    mask         out its non-zero lanes, in the same cycle
    ============ === =========================================================================

    **Timing**: what is written in cycle t is read from cycle t + 1 on.
    """
    lanes = range(ACTIVATIONS_PER_WORD)
    bits = ACTIVATION_BITS
    stored = [vector(bits) for _ in lanes]
    masks = [vector(1) for _ in lanes]
    together = ConcatSignal(*reversed(stored))
    mask_together = ConcatSignal(*reversed(masks))
    data_nonzero = bit()

    @always_comb
    def look():
        data_nonzero.next = store_data != 0

    memories = [
        activation_lane(
            clk,
            load_write,
            load_data((lane + 1) * bits, lane * bits),
            load_nonzero(lane),
            store_write(lane),
            store_data,
            data_nonzero,
            write_group,
            read_group,
            stored[lane],
            mask_group,
            masks[lane],
        )
        for lane in lanes
    ]

    @always_comb
    def mask_out():
        mask.next = mask_together

    @always(clk.posedge)
    def hold():
        word.next = together
        nonzero.next = (load_write and load_nonzero != 0) or (store_write != 0 and data_nonzero)

    return look, memories, mask_out, hold


@block
def activation_lane(
    clk,
    load_write,
    load_data,
    load_nonzero,
    store_write,
    store_data,
    store_nonzero,
    write_group,
    read_group,
    stored,
    mask_group,
    mask,
):
    """Hold one lane."""
    write = bit()
    data = vector(ACTIVATION_BITS)
    nonzero = vector(1)

    @always_comb
    def choose():
        write.next = load_write or store_write
        if load_write:
            data.next = load_data
            nonzero.next = load_nonzero
        else:
            data.next = store_data
            nonzero.next = store_nonzero

    values = lut_ram(clk, write, write_group, data, read_group, stored)
    flags = lut_ram(clk, write, write_group, nonzero, mask_group, mask)

    return choose, values, flags
