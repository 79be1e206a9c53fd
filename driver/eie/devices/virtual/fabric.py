"""The array behind the DMA: streams in and out, registers, and the faults on the streams' way.

What executes is any `eie.devices.interface.Device`, a packet at a time; or one that can be clocked, such as the
simulated hardware, word by word.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from eie.contract import registers
from eie.contract.config import ArrayConfig
from eie.devices.interface import Device
from eie.devices.virtual.faults import RECEIVE, SEND, Faults

_ANY_LENGTH = 1 << 60
_STATUS = registers.offset("status")
_LOST_AT_ONCE = 1 << 12
"""Words of a cut packet's rest that are taken in a step."""

_CYCLES_PER_STEP = 512
"""Cycles that a clocked array advances when a register is read: about what a processor's read and the loop around it
take at 100 MHz, and few enough that the largest array gives the processor back soon."""


@runtime_checkable
class SteppedDevice(Protocol):
    """A device that advances by the clock cycle, such as `eie.RtlDevice`."""

    config: ArrayConfig

    def put(self, words: NDArray[np.uint64], last: bool) -> None:
        """Queue a part of a packet; `last` says whether the packet ends with it."""
        ...

    def step(self, cycles: int, receiving: bool) -> None:
        """Clock for that many cycles, or until all that was queued is taken; take output only if `receiving`."""
        ...

    def take(self, limit: int) -> tuple[NDArray[np.uint64], bool]:
        """Return up to `limit` words of output of one packet, and whether the packet ends with them."""
        ...

    @property
    def pending(self) -> int:
        """Words queued that are not taken yet."""
        ...

    def peek_register(self, offset: int) -> int:
        """Read a register now, whatever is under way."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write a register; a soft reset also forgets what is queued in either direction."""
        ...


class Fabric:
    """The array as the DMA and the processor see it.

    Parameters
    ----------
    executor : Device or SteppedDevice
        For example ``eie.EmulatedDevice(config)`` or ``eie.RtlDevice(config)``.
    faults : Faults
    """

    def __init__(self, executor: Device | SteppedDevice, faults: Faults) -> None:
        self.executor = executor
        self.faults = faults
        self._array: _Clocked | _PacketWise = (
            _Clocked(executor) if isinstance(executor, SteppedDevice) else _PacketWise(executor)
        )
        # Words of the packet under way that have passed.
        self._input_words = self._output_words = 0
        self._stalled = {SEND: False, RECEIVE: False}
        # Whether the packet under way was ended early, and the rest of it goes nowhere.
        self._input_lost = self._output_lost = False

    def step(self, receiving: bool) -> None:
        """Let the array advance; `receiving` says whether the DMA takes words from it."""
        self._array.step((receiving or self._output_lost) and not self._stalled[RECEIVE])
        if self._output_lost:
            self._output_lost = not self._array.take(_LOST_AT_ONCE)[1]

    @property
    def ready(self) -> bool:
        """Whether the array has taken all that it was given, and the stream to it moves."""
        return self._array.ready and not self._stalled[SEND]

    def accept(self, words: NDArray[np.uint64], last: bool) -> None:
        """Take words from the DMA; to be called when `ready`."""
        if self._input_lost:
            self._input_lost = not last
            return
        first, self._input_words = self._input_words, 0 if last else self._input_words + len(words)
        words, last_seen, self._stalled[SEND] = self.faults.on_stream(SEND, first, words, last)
        self._input_lost = last_seen and not last
        self._array.put(words, last_seen)

    def offer(self, limit: int) -> tuple[NDArray[np.uint64], bool]:
        """Return at most `limit` words to the DMA, and whether the packet ends with them."""
        if self._stalled[RECEIVE] or self._output_lost:
            return np.zeros(0, np.uint64), False
        words, last = self._array.take(limit)
        first, self._output_words = self._output_words, 0 if last else self._output_words + len(words)
        words, last_seen, self._stalled[RECEIVE] = self.faults.on_stream(RECEIVE, first, words, last)
        self._output_lost = last_seen and not last
        return words, last_seen

    def read_register(self, offset: int) -> int:
        """Read a register of the array."""
        return self._array.read_register(offset)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of the array."""
        if offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET:
            self._forget()
        self.executor.write_register(offset, value)

    def reset(self) -> None:
        """Reset the array, as a pulse on its reset input does."""
        self.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)

    def _forget(self) -> None:
        self._input_words = self._output_words = 0
        self._stalled = {SEND: False, RECEIVE: False}
        self._input_lost = self._output_lost = False
        self._array.forget()


class _PacketWise:
    """A device that executes a packet when its last word has come.

    A packet that is cut off stays, and what is sent next continues it, until a soft reset.
    """

    ready = True

    def __init__(self, device: Device) -> None:
        self.device = device
        self._input: list[NDArray[np.uint64]] = []
        self._output: deque[NDArray[np.uint64]] = deque()

    def put(self, words: NDArray[np.uint64], last: bool) -> None:
        self._input.append(np.array(words))
        if last:
            packet = np.concatenate(self._input)
            self._input.clear()
            self.device.send(packet.view(np.uint8))
            while len(reply := self.device.receive(_ANY_LENGTH)):
                self._output.append(np.asarray(reply).view(np.uint64))

    def step(self, receiving: bool) -> None:
        """Nothing: it executed when the packet came."""

    def take(self, limit: int) -> tuple[NDArray[np.uint64], bool]:
        if not self._output:
            return np.zeros(0, np.uint64), False
        packet = self._output.popleft()
        words, rest = packet[:limit], packet[limit:]
        if len(rest):
            self._output.appendleft(rest)
        return words, not len(rest)

    def read_register(self, offset: int) -> int:
        value = self.device.read_register(offset)
        # An array whose output nobody takes is not idle.
        return value & ~registers.STATUS_IDLE if offset == _STATUS and self._output else value

    def forget(self) -> None:
        self._input.clear()
        self._output.clear()


class _Clocked:
    """A device that takes and gives words as its clock goes on."""

    def __init__(self, device: SteppedDevice) -> None:
        self.put, self.take, self.read_register = device.put, device.take, device.peek_register
        self.device = device

    @property
    def ready(self) -> bool:
        return not self.device.pending

    def step(self, receiving: bool) -> None:
        self.device.step(_CYCLES_PER_STEP, receiving)

    def forget(self) -> None:
        """Nothing: its soft reset forgets."""
