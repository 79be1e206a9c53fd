"""The array behind the DMA: a clocked one advances by the poll, either kind is idle only when nothing is left of it."""

import numpy as np
import pytest

import eie
from eie.contract import registers
from eie.devices.virtual.fabric import Fabric, SteppedDevice
from eie.devices.virtual.faults import Fault, Faults

CONTROL, STATUS = registers.offset("control"), registers.offset("status")
CONFIG = eie.ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64)


class Echo:
    """A clocked device that gives back what it gets, a word a cycle, three words late."""

    config = CONFIG
    latency = 3

    def __init__(self):
        self.input, self.inside, self.output, self.cycles = [], [], [], 0

    def put(self, words, last):
        flags = [False] * len(words)
        if last:
            flags[-1] = True
        self.input += zip(words.tolist(), flags, strict=True)

    def step(self, cycles, receiving):
        until_sent = bool(self.input)
        for _ in range(cycles):
            if until_sent and not self.input:
                return
            self.cycles += 1
            if self.input and len(self.inside) < self.latency:
                self.inside.append(self.input.pop(0))
            elif receiving and self.inside:
                self.output.append(self.inside.pop(0))

    def take(self, limit):
        words = []
        while self.output and len(words) < limit:
            word, last = self.output.pop(0)
            words.append(word)
            if last:
                return np.array(words, np.uint64), True
        return np.array(words, np.uint64), False

    @property
    def pending(self):
        return len(self.input)

    def peek_register(self, offset):
        return registers.STATUS_IDLE * (not self.input and not self.inside) if offset == STATUS else 0

    def write_register(self, offset, value):
        self.input, self.inside, self.output = [], [], []


def received(fabric, polls=10):
    """Poll, and return what comes: words, with "last" after the end of a packet."""
    out = []
    for _ in range(polls):
        fabric.step(True)
        words, last = fabric.offer(1000)
        out += [*words.tolist(), *(["last"] if last else [])]
    return out


def test_a_clocked_device_is_told_from_one_that_takes_packets():
    assert isinstance(Echo(), SteppedDevice)
    assert not isinstance(eie.EmulatedDevice(CONFIG), SteppedDevice)


def test_a_poll_advances_a_clocked_array_by_a_bounded_number_of_cycles():
    echo = Echo()
    fabric = Fabric(echo, Faults())
    fabric.accept(np.arange(3, dtype=np.uint64), False)
    fabric.step(False)
    assert echo.cycles == 3, "no cycle passes in which the array waits for words that the DMA has"
    fabric.step(False)
    assert 3 < echo.cycles < 2000


def test_the_array_is_held_back_while_nobody_receives():
    echo = Echo()
    fabric = Fabric(echo, Faults())
    fabric.accept(np.arange(5, dtype=np.uint64), True)
    for _ in range(3):
        fabric.step(False)
        assert not fabric.ready
        assert fabric.offer(1000)[0].tolist() == []
    assert received(fabric) == [0, 1, 2, 3, 4, "last"]
    assert fabric.ready
    assert fabric.read_register(STATUS) & registers.STATUS_IDLE


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("stall", "receive", 4), [0, 1, 2, 3]),
        (Fault("stall", "send", 4), [0, 1, 2, 3]),
        (Fault("truncate", "receive", 4), [0, 1, 2, 3, "last"]),
        (Fault("truncate", "send", 4), [0, 1, 2, 3, "last"]),
        (Fault("lengthen", "receive", 4), [0, 1, 2, 3, 4, 5, 5, "last"]),
        (Fault("lengthen", "send", 4), [0, 1, 2, 3, 4, 5, 5, "last"]),
    ],
)
def test_faults_strike_a_clocked_stream_and_a_reset_ends_them(fault, words):
    fabric = Fabric(Echo(), Faults([fault]))
    fabric.accept(np.arange(6, dtype=np.uint64), True)
    assert received(fabric) == words
    assert fabric.ready == (fault != Fault("stall", "send", 4))
    fabric.write_register(CONTROL, registers.CONTROL_SOFT_RESET)
    fabric.accept(np.arange(6, dtype=np.uint64), True)
    assert received(fabric) == [0, 1, 2, 3, 4, 5, "last"], "as if nothing had been"


def test_after_a_packet_was_cut_the_rest_of_it_is_lost_and_the_next_is_whole():
    for stream in ("send", "receive"):
        fabric = Fabric(Echo(), Faults([Fault("truncate", stream, 4)]))
        fabric.accept(np.arange(5, dtype=np.uint64), False)
        first = received(fabric)
        fabric.accept(np.arange(5, 8, dtype=np.uint64), True)
        fabric.step(False)
        fabric.accept(np.arange(20, 22, dtype=np.uint64), True)
        assert first + received(fabric) == [0, 1, 2, 3, "last", 20, 21, "last"]


def test_an_emulated_array_is_not_idle_while_its_output_waits():
    class Replies(eie.EmulatedDevice):
        def __init__(self):
            super().__init__(CONFIG)
            self.replies = []

        def send(self, buffer, reply_bytes=0, changed=None):
            self.replies.append(np.array(buffer))

        def receive(self, nbytes):
            return self.replies.pop() if self.replies else np.zeros(0, np.uint8)

    fabric = Fabric(Replies(), Faults())
    fabric.accept(np.arange(3, dtype=np.uint64), False)
    assert fabric.read_register(STATUS) & registers.STATUS_IDLE
    fabric.accept(np.arange(3, 5, dtype=np.uint64), True)
    assert not fabric.read_register(STATUS) & registers.STATUS_IDLE
    assert fabric.offer(4)[0].tolist() == [0, 1, 2, 3]
    assert not fabric.read_register(STATUS) & registers.STATUS_IDLE
    assert fabric.offer(4)[0].tolist() == [4]
    assert fabric.read_register(STATUS) & registers.STATUS_IDLE
