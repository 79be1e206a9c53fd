"""The activation memory: one word of every group, four lanes, with the mask of its non-zero lanes."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, ArrayConfig
from eie_hw.parts.array_interfaces import ActivationPort, ActivationWrite
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import lut_ram


@block
def activation_memory(clk, write: ActivationWrite, store_data, port: ActivationPort, config: ArrayConfig):
    """Hold four lanes of every activation group.

    **Ports**

    ========== === =================================================================
    write      in  what to keep, and what to write where; a bit a lane of `store` takes `store_data`
    store_data in  the output unit's result
    port           two ports to read
    ========== === =================================================================

    **Timing**: what is written in cycle t is read from cycle t + 1 on.
    """
    lanes = range(ACTIVATIONS_PER_WORD)
    bits = ACTIVATION_BITS
    stored = [vector(bits) for _ in lanes]
    masks = [vector(1) for _ in lanes]
    together = ConcatSignal(*reversed(stored))
    mask_together = ConcatSignal(*reversed(masks))
    data_nonzero = bit()
    kept, kept_nonzero = vector(bits * len(lanes)), vector(len(lanes))

    @always(clk.posedge)
    def keep():
        if write.keep:
            kept.next = write.data
            kept_nonzero.next = write.nonzero

    @always_comb
    def look():
        data_nonzero.next = store_data != 0

    memories = [
        activation_lane(
            clk,
            write.load,
            kept((lane + 1) * bits, lane * bits),
            kept_nonzero(lane),
            write.store(lane),
            store_data,
            data_nonzero,
            write.group,
            port.read_group,
            stored[lane],
            port.mask_group,
            masks[lane],
        )
        for lane in lanes
    ]

    @always_comb
    def mask_out():
        port.mask.next = mask_together

    @always(clk.posedge)
    def hold():
        port.word.next = together
        port.nonzero.next = (write.load and kept_nonzero != 0) or (write.store != 0 and data_nonzero)

    return keep, look, memories, mask_out, hold


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
