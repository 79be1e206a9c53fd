"""One direction of the AXI DMA: pynq's channel, and the registers that pynq does not wait for with a deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pynq.buffer import PynqBuffer

try:
    import pyxrt  # type: ignore[import-not-found]  # part of a board's image
except ImportError:
    pyxrt = None

from eie.contract import dma_registers as dma
from eie.errors import DeviceError


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
        return Status(self._mmio.read(self._base + dma.STATUS))

    def transfer(self, buffer: PynqBuffer) -> None:
        """Start a transfer, or raise pynq's RuntimeError or ValueError."""
        self.driver.transfer(buffer)

    def received(self) -> int:
        """Return the bytes of a transfer that has ended; the processor sees them from now on."""
        self.driver.wait()
        return self.driver.transferred

    def reset(self, deadline: float) -> None:
        """Reset the DMA, which stops both channels, whatever they are doing."""
        self._mmio.write(self._base + dma.CONTROL, dma.RESET)
        failure = "the reset of the DMA does not end: load the overlay again, or restart the board"
        self._poll(dma.CONTROL, dma.RESET, deadline, failure)

    def start(self, deadline: float) -> None:
        """Start the channel after a reset."""
        self._mmio.write(self._base + dma.CONTROL, dma.RUN)
        self._poll(dma.STATUS, dma.HALTED, deadline, "the DMA does not start: load the overlay again")
        self.driver.start()  # now certain to return

    def _poll(self, register: int, bit: int, deadline: float, failure: str) -> None:
        """Wait until a bit of a register is 0."""
        end = time.monotonic() + deadline
        while self._mmio.read(self._base + register) & bit:
            if time.monotonic() > end:
                raise DeviceError(f"{failure} (waited {deadline:g} s)")


def flushed(buffer: PynqBuffer, changed: Sequence[slice]) -> PynqBuffer:
    """Flush the bytes of a buffer that changed; return a view of it all that pynq does not flush again."""
    for part in changed:
        _flush(buffer[part])
    whole = buffer[:]
    whole.coherent = True
    return whole


def _flush(part: PynqBuffer) -> None:
    """Flush a part of a buffer: pynq 3.1 and 4.0 would have XRT flush all of it, however small the part."""
    if pyxrt is not None and isinstance(part.bo, pyxrt.bo):
        part.bo.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, part.nbytes, part.offset)
    else:
        part.flush()


class Status(int):
    """A channel's status register."""

    @property
    def idle(self) -> bool:
        """Whether the transfer has ended."""
        return bool(self & dma.IDLE)

    @property
    def stopped(self) -> bool:
        """Whether the channel has failed or was halted: it moves nothing any more."""
        return bool(self & (dma.ERRORS | dma.HALTED))

    @property
    def reason(self) -> str:
        """What it says of why it has stopped."""
        names = [text for bit, text in dma.ERROR_TEXT.items() if self & bit]
        return " and ".join(names) or "halted without an error: something else has reset or stopped the DMA"
