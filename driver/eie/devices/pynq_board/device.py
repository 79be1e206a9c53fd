"""A board, through the pynq library. The only module of the driver that imports pynq."""

from __future__ import annotations

import time
from dataclasses import fields
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pynq
from numpy.typing import NDArray
from pynq.buffer import PynqBuffer
from pynq.lib.dma import DMA

from eie.boards.board import ARRAY_VLNV, design_build_hash
from eie.boards.overlay_files import bit_design, hwh_design, hwh_memory
from eie.contract import isa, registers
from eie.contract.config import STREAM_BITS, WORD_BYTES, ArrayConfig
from eie.devices.interface import error_text
from eie.errors import ConfigError, DeviceError
from eie.program.packets import split_program

PACKAGED_VLNV = "eie:eie:eie_top:1.0"
"""Type of the array where it is packaged as an IP and not a module reference."""

DEADLINE_SECONDS = 2.0
"""Longest wait for a transfer unless the caller sets another."""

# Registers of the AXI DMA in direct register mode (PG021), per channel.
_SEND, _RECEIVE = 0x00, 0x30
_CONTROL, _STATUS = 0x00, 0x04
_RUN, _RESET = 1 << 0, 1 << 2
_HALTED, _IDLE = 1 << 0, 1 << 1
_ERRORS = {
    1 << 4: "DMAIntErr (a packet longer than expected, or an internal error)",
    1 << 5: "DMASlvErr (the memory answered with an error)",
    1 << 6: "DMADecErr (there is no memory at the address)",
}
_ERROR_MASK = sum(_ERRORS)

_UNTOUCHED = np.uint64(0x9E37_79B9_7F4A_7C15)
"""What the reply buffer is filled with, so that it shows how far a reply came that has no end."""

_LAST_WORDS_POLLS = 100
"""Polls that words still in the DMA get to arrive after the array has stopped."""


class EieArray(pynq.DefaultIP):
    """The registers of an array, as pynq finds it in an overlay."""

    bindto = [ARRAY_VLNV, PACKAGED_VLNV]  # noqa: RUF012 (pynq reads a list)


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
        self.overlay = _open(str(bitfile))
        files = Path(self.overlay.bitfile_name)
        described = _check_files(files)
        array, engine = _find_array(self.overlay, files), _find_dma(self.overlay, dma)
        if download:
            self.overlay.download()
        self.array: EieArray = _driver(self.overlay, array)
        self.config = _read_config(self.array, files, described)
        self.dma: DMA = _driver(self.overlay, engine)
        self._memory = hwh_memory(files.with_suffix(".hwh"), engine)
        self._packet_words = self.dma.buffer_max_size // WORD_BYTES
        self._buffers: dict[int, PynqBuffer] = {}
        self._reply: PynqBuffer | None = None
        self._expected = self._sent = 0
        self._packets: list[PynqBuffer] = []
        self._source: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._under_way = False

    # The device interface.

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of contiguous memory."""
        buffer = self._allocate(nbytes)
        self._buffers[id(buffer)] = buffer
        return buffer

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Free a buffer; if the DMA is reading it, that is ended first."""
        if self._under_way and np.may_share_memory(buffer, self._source):
            self._reset_dma()
        self._buffers.pop(id(buffer)).freebuffer()

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0) -> None:
        """Start sending one packet, after making the DMA ready for its reply."""
        if not isinstance(buffer, PynqBuffer):
            raise DeviceError(f"send takes a buffer of allocate, not {type(buffer).__name__}: the DMA reads it")
        if buffer.nbytes % WORD_BYTES or reply_bytes % WORD_BYTES:
            raise DeviceError(f"a transfer of {buffer.nbytes} bytes is not a multiple of {WORD_BYTES}")
        if self._under_way:
            raise DeviceError("a transfer is under way; receive its reply first, or soft-reset if it failed")
        reply = self._fresh_reply(reply_bytes) if reply_bytes else None
        self._source = buffer
        self._packets = self._cut(buffer)
        self._sent, self._expected = buffer.nbytes // WORD_BYTES, reply_bytes // WORD_BYTES
        self._under_way = True
        if reply is not None:
            self._transfer(self.dma.recvchannel, reply)
        self._transfer(self.dma.sendchannel, self._packets.pop(0))

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Wait for what was sent and return its reply.

        Raises
        ------
        DeviceError
            If DMA or array report an error, the reply ends early, or nothing has come of it by the deadline.
        """
        if not self._under_way:
            return np.zeros(0, np.uint8)
        end = time.monotonic() + self.deadline
        while not self._finished():
            if time.monotonic() > end:
                raise DeviceError(self._diagnosis(f"no end after {self.deadline:g} s"))
        received = 0
        if self._expected:
            self.dma.recvchannel.wait()  # it has come: this invalidates the buffer and reads the length
            received = self.dma.recvchannel.transferred
            if received != self._expected * WORD_BYTES:
                raise DeviceError(self._diagnosis("the reply is too short"))
            self._settle(end)
        self._under_way = False
        return np.array(self._received(received))

    def read_register(self, offset: int) -> int:
        """Read a register of the array."""
        return self.array.mmio.read(offset)

    def write_register(self, offset: int, value: int) -> None:
        """Write a register of the array; around a soft reset the DMA is reset and started."""
        reset = offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET
        if reset:
            # The DMA first: nothing may still flow into the array when it begins anew.
            self._reset_dma()
        self.array.mmio.write(offset, int(value))
        if reset:
            self._start(self.dma.sendchannel, _SEND)
            self._start(self.dma.recvchannel, _RECEIVE)

    def close(self) -> None:
        """Stop the DMA and free all buffers; the overlay stays loaded."""
        if self._under_way:
            self._reset_dma()
        while self._buffers:
            self._buffers.popitem()[1].freebuffer()
        if self._reply is not None:
            self._reply.freebuffer()
        self._reply = None

    # Transfers.

    def _allocate(self, nbytes: int) -> PynqBuffer:
        try:
            buffer = pynq.allocate((max(nbytes, WORD_BYTES),), np.uint8, target=self.overlay.device)
        except (RuntimeError, MemoryError, OSError) as error:
            raise DeviceError(
                f"no contiguous memory for a buffer of {nbytes} bytes ({error}): free other buffers, for example those "
                "of other notebooks, or start the board with a larger cma= in its boot arguments"
            ) from error
        first, last = buffer.device_address, buffer.device_address + buffer.nbytes - 1
        if self._memory and not any(first in memory and last in memory for memory in self._memory):
            buffer.freebuffer()
            reached = " and ".join(f"0x{memory.start:08x} to 0x{memory.stop - 1:08x}" for memory in self._memory)
            raise DeviceError(
                f"a buffer of {nbytes} bytes was allocated at 0x{first:08x}, but the overlay's DMA reaches {reached} "
                "only: give contiguous memory that place, for example with cma=512M@0-2G in the boot arguments"
            )
        return buffer

    def _fresh_reply(self, nbytes: int) -> PynqBuffer:
        """Return a reply buffer that holds nothing but `_UNTOUCHED`, for the DMA too."""
        if nbytes > self.dma.buffer_max_size:
            raise DeviceError(
                f"a reply of {nbytes} bytes exceeds the {self.dma.buffer_max_size} of a DMA transfer: run smaller "
                "batches, or build the overlay with a larger dma_length_bits (26 is the most)"
            )
        if self._reply is None or self._reply.nbytes < nbytes:
            if self._reply is not None:
                self._reply.freebuffer()
            self._reply = None  # also if there is no memory for a larger one
            self._reply = self._allocate(nbytes)
        reply = self._reply[:nbytes]
        np.asarray(reply).view(np.uint64)[:] = _UNTOUCHED
        # Also so that no line of it is written back over what the DMA writes.
        reply.flush()
        return reply

    def _received(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the beginning of the reply buffer, as a plain array."""
        return np.zeros(0, np.uint8) if self._reply is None else np.asarray(self._reply)[:nbytes]

    def _cut(self, buffer: PynqBuffer) -> list[PynqBuffer]:
        if buffer.nbytes <= self.dma.buffer_max_size:
            return [buffer]
        packets = split_program(np.asarray(buffer).view(np.uint64), self.config, self._packet_words)
        return [buffer[packet.start * WORD_BYTES : packet.stop * WORD_BYTES] for packet in packets]

    def _transfer(self, channel: Any, buffer: PynqBuffer) -> None:
        try:
            channel.transfer(buffer)
        except (RuntimeError, ValueError) as error:
            raise DeviceError(self._diagnosis(f"the DMA takes no transfer ({error})")) from error

    def _finished(self) -> bool:
        """Return whether all is sent and received; start the next packet; raise if DMA or array have stopped."""
        send = self._status(_SEND)
        receive = self._status(_RECEIVE) if self._expected else _IDLE
        if (send | receive) & (_ERROR_MASK | _HALTED):
            raise DeviceError(self._diagnosis("the DMA has stopped"))
        if not send & _IDLE:
            return False
        if self._packets:
            self._transfer(self.dma.sendchannel, self._packets.pop(0))
            return False
        if self._expected and receive & _IDLE:
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
            status = self.read_register(registers.offset("status"))
            if status >> registers.STATUS_ERROR_SHIFT & 0xFF:
                raise DeviceError(self._diagnosis("the array has stopped"))
            if status & registers.STATUS_IDLE:
                return
            if time.monotonic() > end:
                raise DeviceError(self._diagnosis(f"the array is not idle after {self.deadline:g} s"))

    def _comes_yet(self) -> bool:
        return any(self._status(_RECEIVE) & _IDLE for _ in range(_LAST_WORDS_POLLS))

    def _status(self, channel: int) -> int:
        return self.dma.mmio.read(channel + _STATUS)

    # Recovery.

    def _reset_dma(self) -> None:
        """Reset the DMA, both channels, whatever they are doing."""
        self._under_way = False
        self._packets = []
        self.dma.mmio.write(_SEND + _CONTROL, _RESET)
        self._poll(
            _SEND + _CONTROL, _RESET, "the reset of the DMA does not end: load the overlay again, or restart the board"
        )

    def _start(self, channel: Any, base: int) -> None:
        self.dma.mmio.write(base + _CONTROL, _RUN)
        self._poll(base + _STATUS, _HALTED, "the DMA does not start: load the overlay again")
        channel.start()  # now certain to return

    def _poll(self, register: int, bit: int, failure: str) -> None:
        """Wait until a bit of a DMA register is 0."""
        end = time.monotonic() + self.deadline
        while self.dma.mmio.read(register) & bit:
            if time.monotonic() > end:
                raise DeviceError(f"{failure} (waited {self.deadline:g} s)")

    # What happened.

    def _diagnosis(self, what: str) -> str:
        """Return one sentence on the state of both DMA channels and the array."""
        parts = [what, self._send_state()]
        if self._expected and self._reply is not None:
            parts.append(self._receive_state(self._reply[: self._expected * WORD_BYTES]))
        error = error_text(self)
        status = self.read_register(registers.offset("status"))
        accepted = self.read_register(registers.offset("instructions"))
        state = "idle" if status & registers.STATUS_IDLE else "busy"
        parts.append(f"IP error {error}" if error else f"no IP error, {state} after {accepted} instructions")
        return "; ".join(parts)

    def _send_state(self) -> str:
        status = self._status(_SEND)
        if status & (_ERROR_MASK | _HALTED):
            return f"send channel: {_decode(status)}"
        done = status & _IDLE and not self._packets
        return f"sent {self._sent} words" if done else f"{self._sent} words not all sent"

    def _receive_state(self, reply: PynqBuffer) -> str:
        status = self._status(_RECEIVE)
        reply.invalidate()
        written = np.flatnonzero(np.asarray(reply).view(np.uint64) != _UNTOUCHED)
        count = int(written[-1]) + 1 if len(written) else 0
        text = f"received {count} of {self._expected} words"
        if status & (_ERROR_MASK | _HALTED):
            return f"{text}, receive channel: {_decode(status)}"
        if status & _IDLE:
            return text if count == self._expected else f"{text}, TLAST too early"
        return f"{text}, no TLAST"


def _decode(status: int) -> str:
    """Return what a channel's status register says of an error."""
    names = [text for bit, text in _ERRORS.items() if status & bit]
    return " and ".join(names) or "halted without an error: something else has reset or stopped the DMA"


# Opening an overlay.


def _open(bitfile: str) -> pynq.Overlay:
    """Return pynq's overlay, not yet downloaded."""
    try:
        return pynq.Overlay(bitfile, download=False)
    except Exception as error:
        # pynq lets whatever its parser meets in a damaged or missing .hwh through.
        path = Path(bitfile)
        if path.exists():
            hwh_design(path.with_suffix(".hwh"))
        raise DeviceError(f"pynq cannot open the overlay {bitfile}: {error!r}") from error


def _check_files(bitfile: Path) -> int | None:
    """Return the build hash that the .hwh states; refuse a .hwh of another build than the .bit's."""
    hwh = bitfile.with_suffix(".hwh")
    described, built = hwh_design(hwh), bit_design(bitfile)
    if built is not None and not built.matches(described):
        raise DeviceError(
            f"{hwh.name} is stale: it describes the design {described}, but {bitfile.name} is {built}; copy both files "
            "from one build"
        )
    return design_build_hash(described.name)


def _find_array(overlay: pynq.Overlay, bitfile: Path) -> str:
    names = [name for name, ip in overlay.ip_dict.items() if ip["driver"] is EieArray]
    if len(names) != 1:
        held = ", ".join(f"{name} ({ip['type']})" for name, ip in overlay.ip_dict.items())
        raise DeviceError(
            f"{bitfile.with_suffix('.hwh').name} describes {len(names)} EIE arrays ({ARRAY_VLNV} or {PACKAGED_VLNV}), "
            f"not one; it holds {held}: use the overlay of eie-pynq"
        )
    return names[0]


def _find_dma(overlay: pynq.Overlay, wanted: str | None) -> str:
    names = [name for name, ip in overlay.ip_dict.items() if ip["driver"] is DMA and wanted in (None, name)]
    if len(names) != 1:
        raise DeviceError(
            f"the overlay has {len(names)} DMAs{f' called {wanted!r}' if wanted else ''} ({', '.join(names)}); "
            "name the array's with dma="
        )
    parameters = overlay.ip_dict[names[0]]["parameters"]
    for parameter, value, text in (
        ("c_include_sg", 0, "direct register mode"),
        ("c_include_mm2s", 1, "a send channel"),
        ("c_include_s2mm", 1, "a receive channel"),
        ("c_m_axi_mm2s_data_width", STREAM_BITS, "the array's width"),
    ):
        if int(parameters.get(parameter, value)) != value:
            raise DeviceError(
                f"{names[0]} has {parameter}={parameters[parameter]}; the driver needs {text}, {parameter}={value}: "
                "build the overlay with scripts/build_overlay.py"
            )
    return names[0]


def _driver(overlay: pynq.Overlay, name: str) -> Any:
    """Return the driver of an IP by its path in the block design."""
    return reduce(getattr, name.split("/"), overlay)


def _read_config(array: EieArray, bitfile: Path, described: int | None) -> ArrayConfig:
    """Return the array's parameters from its registers; refuse one that is not what the .hwh or this driver say."""

    def read(name: str) -> int:
        return array.mmio.read(registers.offset(name))

    hwh = bitfile.with_suffix(".hwh").name
    if read("identity") != registers.MAGIC:
        raise DeviceError(
            f"at 0x{array.mmio.base_addr:08x}, where {hwh} has the array, the identity register reads "
            f"0x{read('identity'):08x}, not 0x{registers.MAGIC:08x}: {hwh} is not of the loaded {bitfile.name}"
        )
    if described is not None and described != read("hash"):
        raise DeviceError(
            f"{hwh} is stale: it describes build 0x{described:08x}, but the loaded array is build "
            f"0x{read('hash'):08x}; copy .bit and .hwh from one build"
        )
    expected = isa.VERSION << 8 | registers.VERSION
    if read("version") != expected:
        raise DeviceError(
            f"the array has version 0x{read('version'):04x} (instruction set, registers), this driver speaks "
            f"0x{expected:04x}: rebuild the overlay, or use the driver version that it was built with"
        )
    kinds = {"bool": bool, "int": int}
    try:
        built = [field for field in fields(ArrayConfig) if field.name in ArrayConfig().hardware_parameters()]
        return ArrayConfig(**{field.name: kinds[str(field.type)](read(field.name)) for field in built})
    except ConfigError as error:
        raise DeviceError(f"the array's parameter registers hold what no array can have: {error}") from error
