"""The faults of a board, and what the driver must make of each of them."""

import time

import numpy as np
import pytest

import eie
from eie.devices.virtual import Fault
from eie.errors import DeviceError
from tests.pynq.networks import inputs, model

DEADLINE = 0.5
"""Seconds, where a fault is to happen; the driver's own default is 2."""

PATIENT = 120.0
"""Seconds, where none is: the machine that runs the tests may be busy, and simulated hardware takes its time."""

BATCH = 5
"""Inputs in a run: 15 words of output, 3 each for 10 outputs in groups of 4."""

FAULTS = {
    "send stalls": (
        Fault("stall", "send", 20),
        rf"no end after {DEADLINE} s; \d+ words not all sent; received [03] of 15 words, no TLAST; no IP error",
    ),
    "reply stalls": (
        Fault("stall", "receive", 6),
        rf"no end after {DEADLINE} s; sent \d+ words; received 6 of 15 words, no TLAST; no IP error",
    ),
    "TLAST comes early to the array": (
        Fault("truncate", "send", 20),
        r"the array has stopped; sent \d+ words; received [03] of 15 words, no TLAST; IP error TRUNCATED at",
    ),
    "TLAST comes late to the array": (
        Fault("lengthen", "send", 2),
        rf"the array is not idle after {DEADLINE} s; sent \d+ words; received 15 of 15 words; no IP error, busy",
    ),
    "reply is truncated": (
        Fault("truncate", "receive", 6),
        r"the reply is too short; sent \d+ words; received 6 of 15 words, TLAST too early; no IP error",
    ),
    "reply is too long": (
        Fault("lengthen", "receive", 2, amount=3),
        r"the DMA has stopped; .*received 15 of 15 words, receive channel: DMAIntErr \(a packet longer",
    ),
    "memory answers SLVERR to a read": (
        Fault("slave_error", "send", 20),
        r"the DMA has stopped; send channel: DMASlvErr \(the memory answered with an error\); received [03] of 15",
    ),
    "memory answers SLVERR to a write": (
        Fault("slave_error", "receive", 6),
        r"the DMA has stopped; sent \d+ words; received 6 of 15 words, receive channel: DMASlvErr",
    ),
    "memory answers DECERR to a read": (
        Fault("decode_error", "send", 20),
        r"send channel: DMADecErr \(there is no memory at the address\)",
    ),
    "memory answers DECERR to a write": (
        Fault("decode_error", "receive", 6),
        r"received 6 of 15 words, receive channel: DMADecErr",
    ),
    "DMA has an internal error sending": (Fault("internal_error", "send", 3), r"send channel: DMAIntErr"),
    "DMA has an internal error receiving": (Fault("internal_error", "receive", 3), r"receive channel: DMAIntErr"),
    "DMA is reset in mid-transfer": (
        Fault("reset_dma", "send", 20),
        r"send channel: halted without an error: something else has reset or stopped the DMA",
    ),
    "DMA is reset while receiving": (Fault("reset_dma", "receive", 6), r"halted without an error"),
    "array is reset while it is sent to": (
        Fault("reset_array", "send", 20),
        r"the array has stopped; sent \d+ words; received 0 of 15 words, no TLAST; IP error BAD_OPCODE at instruct",
    ),
    "array is reset while it sends": (
        Fault("reset_array", "receive", 6),
        rf"no end after {DEADLINE} s; sent \d+ words; received 6 of 15 words, no TLAST; no IP error, idle after 0",
    ),
    "bit flips in an opcode": (
        Fault("flip", "send", 0, amount=7),
        r"the array has stopped; .*received 0 of 15 words, no TLAST; IP error BAD_OPCODE at instruction \d+",
    ),
    "bit flips in a reserved field": (Fault("flip", "send", 0, amount=12), r"IP error BAD_FIELD at instruction \d+"),
    "bit flips in an address": (Fault("flip", "send", 0, amount=46), r"IP error OUT_OF_RANGE at instruction \d+"),
}
"""Faults, and what the error must say of each. By the word 20 of 80 the hardware may have answered the first input."""


def check_fault(virtual, accelerator, fault):
    """Let a fault happen in mid-run: a decoded error in time, no buffer lost, and the next runs are right."""
    injected, text = fault
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    expected = eie.reference(network, a)
    for _ in range(2):
        assert np.array_equal(accelerator.run_raw(a), expected)
    live = virtual.memory.allocations
    accelerator.device.deadline = DEADLINE
    virtual.inject(injected)
    began = time.monotonic()
    with pytest.raises(DeviceError, match=text):
        accelerator.run_raw(a)
    assert time.monotonic() - began < DEADLINE + 1.0
    accelerator.device.deadline = PATIENT
    assert not virtual.faults.pending, "the fault has happened"
    assert virtual.memory.allocations == live
    for _ in range(3):
        assert np.array_equal(accelerator.run_raw(a), expected)
    assert virtual.memory.allocations == live
