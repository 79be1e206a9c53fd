"""Registers of the AXI DMA in direct register mode, after AMD's product guide PG021, for drivers and virtual board."""

from __future__ import annotations

SEND, RECEIVE = 0x00, 0x30
"""Where the registers of either channel begin: from memory to the array, and back."""

CONTROL, STATUS, ADDRESS, ADDRESS_HIGH, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
"""Registers of a channel."""

RUN, RESET, COMPLETE_IRQ_ENABLE, ERROR_IRQ_ENABLE = 1 << 0, 1 << 2, 1 << 12, 1 << 14
"""Bits of CONTROL."""

HALTED, IDLE, COMPLETE_IRQ, ERROR_IRQ = 1 << 0, 1 << 1, 1 << 12, 1 << 14
INTERNAL_ERROR, SLAVE_ERROR, DECODE_ERROR = 1 << 4, 1 << 5, 1 << 6
"""Bits of STATUS."""

ERROR_TEXT = {
    INTERNAL_ERROR: "DMAIntErr (a packet longer than expected, or an internal error)",
    SLAVE_ERROR: "DMASlvErr (the memory answered with an error)",
    DECODE_ERROR: "DMADecErr (there is no memory at the address)",
}
ERRORS = INTERNAL_ERROR | SLAVE_ERROR | DECODE_ERROR

LENGTH_BITS = 26
"""The widest transfer length that the DMA can be built with."""
