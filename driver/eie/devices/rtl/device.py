"""The converted Verilog, compiled, as a device: the driver's bytes go through the real AXI ports."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.contract import registers
from eie.contract.config import WORD_BYTES, ArrayConfig
from eie.devices.interface import checked_deadline
from eie.devices.rtl.build import build
from eie.errors import DeviceError

_FULL_KEEP = (1 << WORD_BYTES) - 1
_CYCLES_AT_ONCE = 20_000
_IDLE_CHECK_CYCLES = 100
_RESET_CYCLES = 40
"""More than a soft reset takes from its write to its end: `eie_hw.shell.top.RESET_CYCLES` and what leads to it."""
DEADLINE_SECONDS = 60.0
"""Longest wait without any transfer and without becoming idle, after which the hardware is declared stuck."""


class RtlDevice:
    """An EIE array simulated from its converted Verilog by Verilator.

    The first use of a configuration converts and compiles it, which takes up to 40 seconds of processor time (64 PEs);
    later ones take it from the cache.

    Parameters
    ----------
    config : ArrayConfig, optional
        Default: the array of the boards, ``ArrayConfig()``.
    source_pause, sink_pause : float
        Probability of a pause before a word to the device and of refusing a word from it, 0 to below 1.
    seed : int
        Of the pauses.
    deadline : float
        Longest wait for the array while nothing moves, in seconds.

    Raises
    ------
    MissingExtraError
        If MyHDL, Verilator or a C++ compiler is missing.
    """

    def __init__(
        self,
        config: ArrayConfig | None = None,
        source_pause: float = 0.0,
        sink_pause: float = 0.0,
        seed: int = 0,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self.config = ArrayConfig() if config is None else config
        require_type(self.config, ArrayConfig, "config", "an eie.ArrayConfig", DeviceError)
        self.deadline = checked_deadline(deadline)
        self._library = _load(build(self.config))
        pauses = (int(p * (1 << 32)) for p in (source_pause, sink_pause))
        self._simulation = self._library.eie_open(seed, *pauses)

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of nbytes."""
        self._handle  # noqa: B018 (a closed device gives none)
        return np.empty(nbytes, np.uint8)

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Nothing to free."""

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0, changed: Sequence[slice] | None = None) -> None:
        """Queue one packet of instructions; it is played while anything is received or read."""
        data = np.ascontiguousarray(buffer).view(np.uint8).ravel()
        if len(data) % self.config.flit_bytes:
            raise DeviceError(f"a transfer of {len(data)} bytes is not a multiple of {self.config.flit_bytes}")
        self._library.eie_receiving(self._handle, True)
        self._queue(data.view("<u8"), _FULL_KEEP, True)

    def send_raw(self, words: list[tuple[int, int, bool]]) -> None:
        """Queue stream words of (tdata, tkeep, tlast), well-formed or not."""
        self._library.eie_receiving(self._handle, True)
        for data, keep, last in words:
            self._queue(np.array([data], "<u8"), keep, last)

    # Word by word, for one that steps the clock: an `eie.devices.virtual.fabric.SteppedDevice`.

    def put(self, words: NDArray[np.uint64], last: bool) -> None:
        """Queue a part of a packet; `last` says whether the packet ends with it."""
        self._queue(np.ascontiguousarray(words, "<u8"), _FULL_KEEP, last)

    def step(self, cycles: int, receiving: bool) -> None:
        """Clock for that many cycles, or until all that was queued is taken.

        From now on the array's output is taken only if `receiving`, until the next `send`.
        """
        self._library.eie_receiving(self._handle, receiving)
        end, until_sent = self.cycles + cycles, self.pending > 0
        while self.cycles < end and (self.pending or not until_sent):
            self._library.eie_run(self._handle, end - self.cycles, until_sent)

    def take(self, limit: int) -> tuple[NDArray[np.uint64], bool]:
        """Return up to `limit` words of the packet that has come or is coming, and whether it ends with them."""
        words, last = np.empty(limit, "<u8"), ctypes.c_int()
        count = self._library.eie_take(self._handle, words.ctypes.data_as(ctypes.c_void_p), limit, ctypes.byref(last))
        return words[:count], bool(last.value)

    @property
    def pending(self) -> int:
        """Words queued that the array has not taken."""
        return self._library.eie_pending(self._handle)

    def _queue(self, words: NDArray[np.uint64], keep: int, last: bool) -> None:
        self._library.eie_send(self._handle, words.ctypes.data_as(ctypes.c_void_p), len(words), keep, last)

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the next packet, at most nbytes; empty if the device becomes idle without one."""
        wait = _Wait(self.deadline)
        while not (words := self._library.eie_packet(self._handle)):
            if self._library.eie_run(self._handle, _CYCLES_AT_ONCE, 0):
                wait = _Wait(self.deadline)
                continue
            played_out = not self._library.eie_pending(self._handle) and self._idle()
            if played_out and not self._library.eie_packet(self._handle):
                return np.zeros(0, np.uint8)
            wait.go_on()
        if words * WORD_BYTES > nbytes:
            raise DeviceError(f"the device returned {words * WORD_BYTES} bytes, the receiver has room for {nbytes}")
        return self.take(words)[0].view(np.uint8)

    def drain(self) -> None:
        """Clock until all input is taken and the device is idle."""
        self.play_out()
        wait = _Wait(self.deadline)
        while not self._idle():
            wait.go_on()
            self.run(_IDLE_CHECK_CYCLES)

    def read_register(self, offset: int) -> int:
        """Read a register, after all that was sent has been executed: bytes of `send` are older than this call."""
        self.drain()
        return self.peek_register(offset)

    def peek_register(self, offset: int) -> int:
        """Read a register right now, whatever is under way."""
        value = ctypes.c_uint32()
        if not self._library.eie_read(self._handle, offset, ctypes.byref(value)):
            raise DeviceError(f"the simulated array does not answer a read of register 0x{offset:x}")
        return value.value

    def write_register(self, offset: int, value: int) -> None:
        """Write a register; like a board's driver, a soft reset resets the DMA on both streams first."""
        if offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET:
            self.drop_streams()
        if not self._library.eie_write(self._handle, offset, value):
            raise DeviceError(f"the simulated array does not answer a write of register 0x{offset:x}")
        if offset == registers.offset("control") and value & registers.CONTROL_SOFT_RESET:
            # Words may leave until the reset, which the write only starts, has come to the output.
            self.run(_RESET_CYCLES)
            self.drop_streams()

    def run(self, cycles: int) -> None:
        """Clock for that many cycles."""
        end = self.cycles + cycles
        while self.cycles < end:
            self._library.eie_run(self._handle, end - self.cycles, 0)

    def play_out(self) -> None:
        """Clock until all input is taken."""
        wait = _Wait(self.deadline)
        while self._library.eie_pending(self._handle):
            if self._library.eie_run(self._handle, _CYCLES_AT_ONCE, 1):
                wait = _Wait(self.deadline)
            wait.go_on()

    def drop_streams(self) -> None:
        """Forget what is queued for the device and what has come from it, as a reset of the DMA does."""
        self._library.eie_drop(self._handle)

    @property
    def cycles(self) -> int:
        """Clock cycles since the device was opened."""
        return self._library.eie_cycles(self._handle)

    @property
    def interrupt(self) -> bool:
        """Level of the interrupt output."""
        return bool(self._library.eie_interrupt(self._handle))

    def close(self) -> None:
        """Free the simulation."""
        if self._simulation:
            self._library.eie_close(self._simulation)
            self._simulation = None

    def __enter__(self) -> RtlDevice:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _handle(self) -> Any:
        """The simulation, or `DeviceError` once it is closed: its memory is freed."""
        if not self._simulation:
            raise DeviceError("the simulated array is closed; open another eie.RtlDevice")
        return self._simulation

    def _idle(self) -> bool:
        return bool(self.peek_register(registers.offset("status")) & registers.STATUS_IDLE)


class _Wait:
    """A wait that ends with an error at a deadline in wall time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.end = seconds, time.monotonic() + seconds

    def go_on(self) -> None:
        """Raise `DeviceError` if it is too late."""
        if time.monotonic() > self.end:
            raise DeviceError(f"the simulated array is stuck: nothing moved for {self.seconds:g} s; soft-reset it")


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    handle, words = ctypes.c_void_p, ctypes.c_uint64
    signatures = {
        "eie_open": (handle, [words, ctypes.c_uint32, ctypes.c_uint32]),
        "eie_close": (None, [handle]),
        "eie_send": (None, [handle, handle, words, ctypes.c_uint8, ctypes.c_int]),
        "eie_run": (words, [handle, words, ctypes.c_int]),
        "eie_pending": (words, [handle]),
        "eie_packet": (words, [handle]),
        "eie_take": (words, [handle, handle, words, handle]),
        "eie_receiving": (None, [handle, ctypes.c_int]),
        "eie_drop": (None, [handle]),
        "eie_reset": (None, [handle]),
        "eie_cycles": (words, [handle]),
        "eie_interrupt": (ctypes.c_int, [handle]),
        "eie_read": (ctypes.c_int, [handle, ctypes.c_uint32, handle]),
        "eie_write": (ctypes.c_int, [handle, ctypes.c_uint32, ctypes.c_uint32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
