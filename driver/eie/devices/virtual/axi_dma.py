"""A model of the AXI DMA 7.1 in direct register mode, after the product guide PG021.

Two channels: MM2S reads memory and sends a packet per transfer, S2MM receives one packet per transfer. Data move when
`step` is called, a burst at a time.
"""

from __future__ import annotations

import numpy as np

from eie.contract.config import WORD_BYTES
from eie.contract.dma_registers import (
    ADDRESS,
    ADDRESS_HIGH,
    COMPLETE_IRQ,
    COMPLETE_IRQ_ENABLE,
    CONTROL,
    DECODE_ERROR,
    ERROR_IRQ,
    ERROR_IRQ_ENABLE,
    ERRORS,
    HALTED,
    IDLE,
    INTERNAL_ERROR,
    LENGTH,
    RESET,
    RUN,
    SLAVE_ERROR,
    STATUS,
)
from eie.contract.dma_registers import RECEIVE as S2MM
from eie.devices.virtual.fabric import Fabric
from eie.devices.virtual.faults import RECEIVE, SEND, Faults
from eie.devices.virtual.memory import DecodeError, Memory, VirtualBoardError

_CONTROL_RESET_VALUE = 1 << 16 | 1 << 1
_BURST_WORDS = 8192
"""Words that a step moves; far more than a burst of the bus, or nothing would ever come to an end."""

_RESET_STEPS = 3
"""Reads for which the reset bit stays set."""

_FAULT_BITS = {"slave_error": SLAVE_ERROR, "decode_error": DECODE_ERROR, "internal_error": INTERNAL_ERROR}


class _Channel:
    """Registers and progress of a channel."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.control = _CONTROL_RESET_VALUE
        self.status = HALTED
        self.address = self.length = 0
        self.armed = self.moved = 0
        self.active = False

    def complete(self) -> None:
        self.active = False
        self.length = self.moved
        self.status |= IDLE | COMPLETE_IRQ
        self._halt_if_stopped()

    def fail(self, bit: int) -> None:
        """Stop with an error; only a reset clears it."""
        self.active = False
        self.control &= ~RUN
        self.status |= bit | ERROR_IRQ | HALTED

    def write_control(self, value: int) -> None:
        if self.status & ERRORS:
            value &= ~RUN
        self.control = value & ~RESET | 1 << 1
        if value & RUN:
            self.status &= ~HALTED
        else:
            self._halt_if_stopped()

    def write_length(self, value: int) -> None:
        if self.status & HALTED or self.active:
            return
        self.length = self.armed = value
        self.moved = 0
        self.status &= ~IDLE
        self.active = True
        if value == 0:
            self.fail(INTERNAL_ERROR)

    def _halt_if_stopped(self) -> None:
        if not self.control & RUN and not self.active:
            self.status |= HALTED


class AxiDma:
    """The DMA between memory and array.

    Parameters
    ----------
    memory : Memory
    fabric : Fabric
    faults : Faults
    length_bits : int
        Width of the transfer length.
    """

    def __init__(self, memory: Memory, fabric: Fabric, faults: Faults, length_bits: int) -> None:
        self.memory, self.fabric, self.faults = memory, fabric, faults
        self.length_mask = (1 << length_bits) - 1
        self._reset()
        self._resetting = 0

    def read(self, offset: int) -> int:
        """Read a register."""
        channel, register = self._decode(offset)
        if register == CONTROL:
            return channel.control | (RESET if self._resetting else 0)
        values = {
            STATUS: channel.status,
            ADDRESS: channel.address & 0xFFFFFFFF,
            ADDRESS_HIGH: channel.address >> 32,
            LENGTH: channel.length,
        }
        return values.get(register, 0)

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        channel, register = self._decode(offset)
        if register == CONTROL and value & RESET:
            self._reset()
            self._resetting = -1 if self.faults.take_stuck_reset() else _RESET_STEPS
        elif self._resetting:
            return
        elif register == CONTROL:
            channel.write_control(value)
        elif register == STATUS:
            channel.status &= ~(value & (COMPLETE_IRQ | ERROR_IRQ))
        elif register == ADDRESS:
            channel.address = channel.address & ~0xFFFFFFFF | value
        elif register == ADDRESS_HIGH:
            channel.address = channel.address & 0xFFFFFFFF | value << 32
        elif register == LENGTH:
            self._check_alignment(channel)
            channel.write_length(value & self.length_mask)

    def step(self) -> None:
        """Let the array advance, and move a burst in each direction."""
        if self._resetting > 0:
            self._resetting -= 1
        self.fabric.step(self._receive.active)
        if self._send.active:
            self._step_send(self._send)
        if self._receive.active:
            self._step_receive(self._receive)

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of the transfers under way that have moved: a pair that changes while anything goes on."""
        return self._send.moved, self._receive.moved

    @property
    def interrupt(self) -> bool:
        """Whether either channel requests an interrupt."""
        enabled = ((COMPLETE_IRQ_ENABLE, COMPLETE_IRQ), (ERROR_IRQ_ENABLE, ERROR_IRQ))
        return any(
            c.control & enable and c.status & irq for c in (self._send, self._receive) for enable, irq in enabled
        )

    def _step_send(self, channel: _Channel) -> None:
        if not self.fabric.ready:
            return
        if channel.moved == channel.armed:
            channel.complete()
            return
        count = self._before_fault(channel, min(_BURST_WORDS, (channel.armed - channel.moved) // WORD_BYTES))
        if not count:
            self._happen(channel)
            return
        try:
            data = self.memory.fabric_read(channel.address + channel.moved, count * WORD_BYTES)
        except DecodeError:
            channel.fail(DECODE_ERROR)
            return
        channel.moved += count * WORD_BYTES
        self.fabric.accept(data.view(np.uint64), channel.moved == channel.armed)

    def _step_receive(self, channel: _Channel) -> None:
        count = self._before_fault(channel, _BURST_WORDS)
        words, last = self.fabric.offer(max(count, 1))
        if not count and len(words):
            self._happen(channel)
            return
        if channel.moved + words.nbytes > channel.armed:
            words, last = words[: (channel.armed - channel.moved) // WORD_BYTES], False
            self._store(channel, words)
            channel.fail(INTERNAL_ERROR)
            return
        self._store(channel, words)
        if last and channel.active:
            channel.complete()

    def _store(self, channel: _Channel, words: np.ndarray) -> None:
        if not len(words):
            return
        try:
            self.memory.fabric_write(channel.address + channel.moved, words.view(np.uint8))
        except DecodeError:
            channel.fail(DECODE_ERROR)
            return
        channel.moved += words.nbytes

    def _before_fault(self, channel: _Channel, count: int) -> int:
        """Return how many of the next `count` words come before the next fault of DMA or memory."""
        return self.faults.words_before(channel.stream, channel.moved // WORD_BYTES, count)

    def _happen(self, channel: _Channel) -> None:
        """Let the fault happen that the channel has come to."""
        fault = self.faults.take_at_memory(channel.stream, channel.moved // WORD_BYTES)
        if fault.kind == "reset_array":
            self.fabric.reset()
        elif fault.kind == "reset_dma":
            self._reset()
        else:
            channel.fail(_FAULT_BITS[fault.kind])

    def _reset(self) -> None:
        """Reset both channels, which a reset of either does."""
        self._send, self._receive = _Channel(SEND), _Channel(RECEIVE)

    def _decode(self, offset: int) -> tuple[_Channel, int]:
        return (self._receive, offset - S2MM) if offset >= S2MM else (self._send, offset)

    def _check_alignment(self, channel: _Channel) -> None:
        if channel.address % WORD_BYTES:
            raise VirtualBoardError(
                f"address 0x{channel.address:08x} is not a multiple of {WORD_BYTES}: without realignment engine the "
                "DMA moves undefined data"
            )
