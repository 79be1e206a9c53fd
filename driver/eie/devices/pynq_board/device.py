"""A board, through the pynq library."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eie.errors import DeviceError, MissingExtraError

try:
    from pynq.buffer import PynqBuffer
    from pynq.lib.dma import DMA
except ImportError as error:
    raise MissingExtraError(
        f"a board is reached through pynq ({error}): it is on the board's image; off the board, docs/virtual-board.md "
        "says how to install it"
    ) from error

from eie.boards.board import design_build_hash
from eie.boards.overlay_files import hwh_clocks, hwh_memory, overlay_design
from eie.contract import registers
from eie.contract.config import WORD_BYTES
from eie.contract.dma_registers import RECEIVE, SEND
from eie.devices.interface import checked_deadline, error_text
from eie.devices.pynq_board.channel import Channel, flushed
from eie.devices.pynq_board.memory import allocate_within
from eie.devices.pynq_board.overlay import (
    EieArray,
    check_width,
    driver_of,
    find_array,
    find_dma,
    open_overlay,
    read_config,
    run_clocks,
)
from eie.devices.pynq_board.reply import ReplyBuffer
from eie.program.packets import split_program

DEADLINE_SECONDS = 2.0
"""Longest wait for a transfer unless the caller sets another."""

_LAST_WORDS_POLLS = 100
"""Polls that words still in the DMA get to arrive after the array has stopped."""


class PynqDevice:
    """An EIE array on a board.

    Parameters
    ----------
    bitfile : str or Path
        The overlay's .bit; its .hwh lies beside it.
    deadline : float
        Longest wait for a transfer, in seconds.
    download : bool
        Configure the fabric; False if this overlay is already loaded.
    dma : str, optional
        Name of the DMA in the block design; needed where there are several.

    Raises
    ------
    DeviceError
        If the overlay is not one of an EIE array, its .hwh is of another build, or it does not fit this driver.
    """

    def __init__(
        self,
        bitfile: str | Path,
        *,
        deadline: float = DEADLINE_SECONDS,
        download: bool = True,
        dma: str | None = None,
    ) -> None:
        self.deadline = deadline
        self._closed = False
        self.overlay = open_overlay(str(bitfile))
        files = Path(self.overlay.bitfile_name)
        described = design_build_hash(overlay_design(files)[0].name)
        array, engine = find_array(self.overlay, files), find_dma(self.overlay, dma)
        if download:
            self.overlay.download()
        self.clock_mhz = run_clocks(hwh_clocks(files.with_suffix(".hwh")))
        self.array: EieArray = driver_of(self.overlay, array)
        self.config = read_config(self.array, files, described)
        check_width(self.overlay, engine, self.config)
        self.dma: DMA = driver_of(self.overlay, engine)
        self._sending = Channel(self.dma.sendchannel, self.dma.mmio, SEND)
        self._receiving = Channel(self.dma.recvchannel, self.dma.mmio, RECEIVE)
        self._memory = hwh_memory(files.with_suffix(".hwh"), engine)
        self._packet_words = self.dma.buffer_max_size // WORD_BYTES
        self._buffers: dict[int, PynqBuffer] = {}
        self._reply = ReplyBuffer(self._allocate)
        self._expected = self._sent = 0
        self._packets: list[PynqBuffer] = []
        self._source: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._under_way = False

    @property
    def deadline(self) -> float:
        """Longest wait for a transfer, in seconds."""
        return self._deadline

    @deadline.setter
    def deadline(self, seconds: float) -> None:
        self._deadline = checked_deadline(seconds)

    # The device interface.

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of contiguous memory."""
        self._require_open()
        buffer = self._allocate(nbytes)
        self._buffers[id(buffer)] = buffer
        return buffer

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Free a buffer; if the DMA is reading it, that is ended first."""
        if self._under_way and np.may_share_memory(buffer, self._source):
            self._reset_dma()
        self._buffers.pop(id(buffer)).freebuffer()

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0, changed: Sequence[slice] | None = None) -> None:
        """Start sending one packet, after making the DMA ready for its reply."""
        self._require_open()
        if not isinstance(buffer, PynqBuffer):
            raise DeviceError(f"send takes a buffer of allocate, not {type(buffer).__name__}: the DMA reads it")
        for nbytes, whole in ((buffer.nbytes, self.config.flit_bytes), (reply_bytes, WORD_BYTES)):
            if nbytes % whole:
                raise DeviceError(f"a transfer of {nbytes} bytes is not a multiple of {whole}")
        if self._under_way:
            raise DeviceError("a transfer is under way; receive its reply first, or soft-reset if it failed")
        if reply_bytes > self.dma.buffer_max_size:
            raise DeviceError(
                f"a reply of {reply_bytes} bytes exceeds the {self.dma.buffer_max_size} of a DMA transfer: run smaller "
                "batches, or build the overlay with a larger dma_length_bits (26 is the most)"
            )
        reply = self._reply.fresh(reply_bytes) if reply_bytes else None
        self._source = buffer
        self._packets = self._cut(buffer if changed is None else flushed(buffer, changed))
        self._sent, self._expected = buffer.nbytes // WORD_BYTES, reply_bytes // WORD_BYTES
        self._under_way = True
        if reply is not None:
            self._transfer(self._receiving, reply)
        self._transfer(self._sending, self._packets.pop(0))

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Wait for what was sent and return its reply.

        Raises
        ------
        DeviceError
            If DMA or array report an error, the reply ends early, or nothing has come of it by the deadline.
        """
        self._require_open()
        if not self._under_way:
            return np.zeros(0, np.uint8)
        end = time.monotonic() + self.deadline
        while not self._finished():
            if time.monotonic() > end:
                # The process may have been stopped while all came: a last look.
                if any(self._finished() for _ in range(_LAST_WORDS_POLLS)):
                    break
                raise DeviceError(self._diagnosis(f"no end after {self.deadline:g} s"))
        received = 0
        if self._expected:
            received = self._receiving.received()
            if received != self._expected * WORD_BYTES:
                raise DeviceError(self._diagnosis("the reply is too short"))
            self._settle(end)
        self._under_way = False
        return self._reply.received(received)

    def read_register(self, offset: int) -> int:
        """Read a register of the array."""
        self._require_open()
        return self.array.mmio.read(offset)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of the array; around a soft reset the DMA is reset and started."""
        self._require_open()
        reset = offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET
        if reset:
            # The DMA first: nothing may still flow into the array when it begins anew.
            self._reset_dma()
        self.array.mmio.write(offset, int(value))
        if reset:
            self._sending.start(self.deadline)
            self._receiving.start(self.deadline)

    def close(self) -> None:
        """Stop the DMA and free all buffers; the overlay stays loaded."""
        if self._closed:
            return
        if self._under_way:
            self._reset_dma()
        while self._buffers:
            self._buffers.popitem()[1].freebuffer()
        self._reply.free()
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceError("the device is closed; open it again with eie.PynqDevice(...)")

    # Transfers.

    def _allocate(self, nbytes: int) -> PynqBuffer:
        return allocate_within(self._memory, nbytes, self.overlay.device)

    def _cut(self, buffer: PynqBuffer) -> list[PynqBuffer]:
        if buffer.nbytes <= self.dma.buffer_max_size:
            return [buffer]
        packets = split_program(np.asarray(buffer).view(np.uint64), self.config, self._packet_words)
        return [buffer[packet.start * WORD_BYTES : packet.stop * WORD_BYTES] for packet in packets]

    def _transfer(self, channel: Channel, buffer: PynqBuffer) -> None:
        try:
            channel.transfer(buffer)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(self._diagnosis(f"the DMA takes no transfer ({error})")) from error

    def _finished(self) -> bool:
        """Return whether all is sent and received; start the next packet; raise if DMA or array have stopped."""
        send = self._sending.status()
        receive = self._receiving.status() if self._expected else None
        if send.stopped or (receive is not None and receive.stopped):
            raise DeviceError(self._diagnosis("the DMA has stopped"))
        if not send.idle:
            return False
        if self._packets:
            self._transfer(self._sending, self._packets.pop(0))
            return False
        if receive is not None and receive.idle:
            return True
        status = self.read_register(registers.offset("status"))
        if not status & registers.STATUS_IDLE:
            return False
        if not self._expected:
            return True
        if status >> registers.STATUS_ERROR_SHIFT & 0xFF and not self._comes_yet():
            raise DeviceError(self._diagnosis("the array has stopped"))
        return False

    def _settle(self, end: float) -> None:
        """Wait until the array is idle after its reply; what it still has would be taken for the next reply."""
        while True:
            late = time.monotonic() > end
            status = self.read_register(registers.offset("status"))
            if status >> registers.STATUS_ERROR_SHIFT & 0xFF:
                raise DeviceError(self._diagnosis("the array has stopped"))
            if status & registers.STATUS_IDLE:
                return
            if late:
                raise DeviceError(self._diagnosis(f"the array is not idle after {self.deadline:g} s"))

    def _comes_yet(self) -> bool:
        return any(self._receiving.status().idle for _ in range(_LAST_WORDS_POLLS))

    def _reset_dma(self) -> None:
        """Reset the DMA, both channels, whatever they are doing."""
        self._under_way, self._packets = False, []
        self._sending.reset(self.deadline)

    def _diagnosis(self, what: str) -> str:
        """Return one sentence on the state of both DMA channels and the array."""
        parts = [what, self._send_state()]
        if self._expected:
            parts.append(self._receive_state())
        error = error_text(self)
        status = self.read_register(registers.offset("status"))
        accepted = self.read_register(registers.offset("instructions"))
        state = "idle" if status & registers.STATUS_IDLE else "busy"
        parts.append(f"IP error {error}" if error else f"no IP error, {state} after {accepted} instructions")
        return "; ".join(parts)

    def _send_state(self) -> str:
        status = self._sending.status()
        if status.stopped:
            return f"send channel: {status.reason}"
        done = status.idle and not self._packets
        return f"sent {self._sent} words" if done else f"{self._sent} words not all sent"

    def _receive_state(self) -> str:
        status = self._receiving.status()
        count = self._reply.words_written(self._expected * WORD_BYTES)
        text = f"received {count} of {self._expected} words"
        if status.stopped:
            return f"{text}, receive channel: {status.reason}"
        if status.idle:
            return text if count == self._expected else f"{text}, TLAST too early"
        return f"{text}, no TLAST"
