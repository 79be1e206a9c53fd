"""The model of the AXI DMA against PG021: resets, transfers, errors, what software sees in the registers."""

import numpy as np
import pytest

import eie
from eie.devices.virtual.axi_dma import S2MM, AxiDma
from eie.devices.virtual.fabric import Fabric
from eie.devices.virtual.faults import Fault, Faults
from eie.devices.virtual.memory import Memory, VirtualBoardError
from tests.driver.devices.emulation.test_device import CONFIG, load, read

CONTROL, STATUS, ADDRESS, LENGTH = 0x00, 0x04, 0x18, 0x28
HALTED, IDLE, INTERNAL, SLAVE, DECODE, COMPLETE = 1, 2, 0x10, 0x20, 0x40, 0x1000


class Bench:
    """DMA, memory and array, with one buffer for each direction."""

    def __init__(self, length_bits=26):
        self.faults = Faults()
        self.memory = Memory(0, 1 << 24, 0x100000, 1 << 20)
        self.fabric = Fabric(eie.EmulatedDevice(CONFIG), self.faults)
        self.dma = AxiDma(self.memory, self.fabric, self.faults, length_bits)
        self.source, self.target = self.memory.allocate(4096), self.memory.allocate(4096)
        self.target.fabric[:] = 0

    def start(self):
        for channel in (0, S2MM):
            self.dma.write(channel + CONTROL, 1)

    def arm(self, nbytes):
        self.dma.write(S2MM + ADDRESS, self.target.address)
        self.dma.write(S2MM + LENGTH, nbytes)

    def send(self, program):
        self.source.fabric[: len(program)] = program
        self.dma.write(ADDRESS, self.source.address)
        self.dma.write(LENGTH, len(program))

    def run(self):
        for _ in range(20):
            self.dma.step()

    def status(self, channel=0):
        return self.dma.read(channel + STATUS)


@pytest.fixture
def bench():
    bench = Bench()
    bench.start()
    return bench


PROGRAM = np.concatenate([load(0, 1, 2, 3, 4), load(1, 5, 6, 7, 8), read(0, 2)])


def test_after_a_reset_both_channels_are_halted_and_not_idle():
    bench = Bench()
    for channel in (0, S2MM):
        assert bench.status(channel) == HALTED
    bench.start()
    for channel in (0, S2MM):
        assert bench.status(channel) == 0


def test_a_transfer_is_idle_and_complete_when_all_is_moved(bench):
    bench.arm(16)
    bench.send(PROGRAM)
    assert bench.status() == bench.status(S2MM) == 0, "busy until somebody looks"
    bench.run()
    assert bench.status() == bench.status(S2MM) == IDLE | COMPLETE
    assert bench.dma.read(S2MM + LENGTH) == 16
    assert bench.target.fabric[:16].view(np.int16).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    bench.dma.write(STATUS, COMPLETE)
    assert bench.status() == IDLE, "writing 1 clears the interrupt"


def test_the_length_register_tells_how_much_a_short_packet_was(bench):
    bench.arm(800)
    bench.send(PROGRAM)
    bench.run()
    assert bench.status(S2MM) & IDLE
    assert bench.dma.read(S2MM + LENGTH) == 16


def test_a_packet_longer_than_the_buffer_is_an_internal_error_that_halts(bench):
    bench.arm(8)
    bench.send(PROGRAM)
    bench.run()
    assert bench.status(S2MM) & (INTERNAL | HALTED) == INTERNAL | HALTED
    assert bench.target.fabric[:16].view(np.int16).tolist() == [1, 2, 3, 4, 0, 0, 0, 0], "not beyond the buffer"


def test_an_error_stays_until_the_reset_of_either_channel(bench):
    bench.faults.inject(Fault("slave_error", "send", 1))
    bench.send(PROGRAM)
    bench.run()
    assert bench.status() & (SLAVE | HALTED) == SLAVE | HALTED
    bench.dma.write(CONTROL, 1)
    assert bench.status() & HALTED, "starting does not help"
    bench.dma.write(S2MM + CONTROL, 4)
    assert bench.dma.read(CONTROL) & 4
    bench.run()
    assert not bench.dma.read(CONTROL) & 4
    assert bench.status() == HALTED


def test_a_length_written_to_a_halted_channel_starts_nothing():
    bench = Bench()
    bench.send(PROGRAM)
    bench.run()
    assert bench.status() == HALTED


def test_a_length_of_zero_is_an_internal_error(bench):
    bench.dma.write(LENGTH, 0)
    assert bench.status() & INTERNAL


def test_an_address_without_memory_is_a_decode_error(bench):
    bench.dma.write(ADDRESS + 4, 1)
    bench.send(PROGRAM)
    bench.run()
    assert bench.status() & (DECODE | HALTED) == DECODE | HALTED


def test_an_address_that_is_not_aligned_is_the_drivers_mistake(bench):
    bench.dma.write(ADDRESS, bench.source.address + 4)
    with pytest.raises(VirtualBoardError, match="not a multiple of 8"):
        bench.dma.write(LENGTH, 8)


def test_only_the_low_bits_of_a_length_count():
    bench = Bench(length_bits=8)
    bench.start()
    bench.send(PROGRAM)
    bench.dma.write(CONTROL, 4)
    bench.run()
    bench.start()
    bench.dma.write(ADDRESS, bench.source.address)
    bench.dma.write(LENGTH, 256 + 16)
    assert bench.dma.read(LENGTH) == 16


def test_a_reply_without_a_receiver_waits_for_one(bench):
    bench.send(PROGRAM)
    bench.run()
    assert bench.status() & IDLE
    bench.arm(16)
    bench.run()
    assert bench.status(S2MM) & IDLE
    assert bench.target.fabric[:2].view(np.int16)[0] == 1


def test_a_packet_cut_off_by_a_reset_goes_on_in_the_next_until_the_array_is_reset(bench):
    bench.faults.inject(Fault("stall", "send", 1))
    bench.send(PROGRAM)
    bench.run()
    assert not bench.status() & IDLE
    for reset_array in (False, True):
        bench.dma.write(CONTROL, 4)
        bench.run()
        if reset_array:
            bench.fabric.reset()
        else:
            bench.fabric._stalled["send"] = False
        bench.start()
        bench.arm(16)
        bench.send(PROGRAM)
        bench.run()
        right = bool(bench.status(S2MM) & IDLE) and bench.target.fabric[0] == 1
        assert right == reset_array


def test_interrupts_are_requested_as_enabled(bench):
    assert not bench.dma.interrupt
    bench.dma.write(CONTROL, 1 | 1 << 12)
    bench.send(PROGRAM)
    bench.run()
    assert bench.dma.interrupt
    bench.dma.write(STATUS, COMPLETE)
    assert not bench.dma.interrupt
