"""One direction of the AXI DMA: pynq's channel, and the registers that pynq does not wait for with a deadline."""

from __future__ import annotations

import time
from typing import Any

from pynq.buffer import PynqBuffer

from eie.errors import DeviceError

# Registers of the AXI DMA in direct register mode (PG021), from the channel's base.
SEND, RECEIVE = 0x00, 0x30
_CONTROL, _STATUS = 0x00, 0x04
_RUN, _RESET = 1 << 0, 1 << 2
_HALTED, _IDLE = 1 << 0, 1 << 1
_ERRORS = {
    1 << 4: "DMAIntErr (a packet longer than expected, or an internal error)",
    1 << 5: "DMASlvErr (the memory answered with an error)",
    1 << 6: "DMADecErr (there is no memory at the address)",
}
_ERROR_MASK = sum(_ERRORS)


class Channel:
    """A channel of the DMA.

    Parameters
    ----------
    driver : pynq.lib.dma._SDMAChannel
    mmio : pynq.MMIO
        The DMA's registers.
    base : {SEND, RECEIVE}
    """

    def __init__(self, driver: Any, mmio: Any, base: int) -> None:
        self.driver, self._mmio, self._base = driver, mmio, base

    def status(self) -> Status:
        """Return the status as it is now."""
        return Status(self._mmio.read(self._base + _STATUS))

    def transfer(self, buffer: PynqBuffer) -> None:
        """Start a transfer, or raise pynq's RuntimeError or ValueError."""
        self.driver.transfer(buffer)

    def received(self) -> int:
        """Return the bytes of a transfer that has ended; the processor sees them from now on."""
        self.driver.wait()
        return self.driver.transferred

    def reset(self, deadline: float) -> None:
        """Reset the DMA, which stops both channels, whatever they are doing."""
        self._mmio.write(self._base + _CONTROL, _RESET)
        failure = "the reset of the DMA does not end: load the overlay again, or restart the board"
        self._poll(_CONTROL, _RESET, deadline, failure)

    def start(self, deadline: float) -> None:
        """Start the channel after a reset."""
        self._mmio.write(self._base + _CONTROL, _RUN)
        self._poll(_STATUS, _HALTED, deadline, "the DMA does not start: load the overlay again")
        self.driver.start()  # now certain to return

    def _poll(self, register: int, bit: int, deadline: float, failure: str) -> None:
        """Wait until a bit of a register is 0."""
        end = time.monotonic() + deadline
        while self._mmio.read(self._base + register) & bit:
            if time.monotonic() > end:
                raise DeviceError(f"{failure} (waited {deadline:g} s)")


class Status(int):
    """A channel's status register."""

    @property
    def idle(self) -> bool:
        """Whether the transfer has ended."""
        return bool(self & _IDLE)

    @property
    def stopped(self) -> bool:
        """Whether the channel has failed or was halted: it moves nothing any more."""
        return bool(self & (_ERROR_MASK | _HALTED))

    @property
    def reason(self) -> str:
        """What it says of why it has stopped."""
        names = [text for bit, text in _ERRORS.items() if self & bit]
        return " and ".join(names) or "halted without an error: something else has reset or stopped the DMA"
