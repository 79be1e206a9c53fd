"""The array behind the DMA: streams in and out, registers; what executes is any `eie.device.Device`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie import registers
from eie.config import STREAM_BITS
from eie.device import Device
from eie.virtual.faults import RECEIVE, SEND, Faults

_WORD_BYTES = STREAM_BITS // 8
_ANY_LENGTH = 1 << 60


class Fabric:
    """The array as the DMA and the processor see it.

    A packet is handed to the executor when its last word has come; a packet that is cut off stays, and what is sent
    next continues it, until a soft reset.

    Parameters
    ----------
    executor : Device
        For example ``eie.EmulatedDevice(config)``.
    faults : Faults
    """

    def __init__(self, executor: Device, faults: Faults) -> None:
        self.executor = executor
        self.faults = faults
        self._input: list[NDArray[np.uint64]] = []
        self._output = np.zeros(0, np.uint64)
        self._input_words = 0
        self._stalled = {SEND: False, RECEIVE: False}
        self._ended_early = self._expecting = False

    def accept(self, words: NDArray[np.uint64], last: bool) -> bool:
        """Take words from the DMA; return whether the stream moves."""
        if self._stalled[SEND]:
            return False
        if self._ended_early:
            self._ended_early = not last
            return True
        words, last_seen, fate = self.faults.on_stream(SEND, self._input_words, words, last)
        self._input.append(np.array(words))
        self._input_words += len(words)
        if fate == "stall":
            self._stalled[SEND] = True
            return False
        if last_seen:
            self._ended_early = not last
            packet = np.concatenate(self._input).view(np.uint8)
            self._input, self._input_words = [], 0
            self.executor.send(packet)
            self._expecting = True
        return True

    def offer(self, limit: int) -> tuple[NDArray[np.uint64], bool]:
        """Return at most `limit` words to the DMA, and whether the packet ends with them."""
        if not len(self._output) and not self._stalled[RECEIVE]:
            self._next_packet()
        words, self._output = self._output[:limit], self._output[limit:]
        return words, bool(len(words)) and not len(self._output) and not self._stalled[RECEIVE]

    def read_register(self, offset: int) -> int:
        """Read a register of the array."""
        return self.executor.read_register(offset)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of the array."""
        if offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET:
            self._forget()
        self.executor.write_register(offset, value)

    def reset(self) -> None:
        """Reset the array, as a pulse on its reset input does."""
        self.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)

    def _forget(self) -> None:
        self._input, self._input_words = [], 0
        self._output = self._output[:0]
        self._stalled = {SEND: False, RECEIVE: False}
        self._ended_early = self._expecting = False

    def _next_packet(self) -> None:
        if not self._expecting:
            return
        packet = self.executor.receive(_ANY_LENGTH)
        if not len(packet):
            self._expecting = False
            return
        words = np.asarray(packet).view(np.uint64)
        self._output, _, fate = self.faults.on_stream(RECEIVE, 0, words, True)
        self._stalled[RECEIVE] = fate == "stall"
