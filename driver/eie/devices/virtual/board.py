"""A board without the board: memory, DMA and array behind the addresses that the processor uses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from eie.boards.board import Board, board
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device
from eie.devices.virtual.axi_dma import AxiDma
from eie.devices.virtual.bus import Bus
from eie.devices.virtual.fabric import Fabric
from eie.devices.virtual.faults import Fault, Faults
from eie.devices.virtual.memory import Memory, VirtualBoardError
from eie.devices.virtual.overlay import write_overlay
from eie.errors import MissingExtraError

if TYPE_CHECKING:
    from eie.devices.virtual.pynq_layer import VirtualDevice

_CMA_OFFSET = 0x1000_0000


class VirtualBoard:
    """A board that the real pynq library runs on, whose array is the emulation or the simulated hardware.

    As a context it becomes pynq's active device and has an overlay, `bitfile`, that `eie.Accelerator` takes. It
    advances when the processor reads one of its registers: there are no threads.

    Parameters
    ----------
    name : str or Board
        Board whose overlay is loaded: addresses, DMA, memory, array.
    executor : Device, optional
        What the array is; default ``eie.EmulatedDevice(config)`` of the board's array.
    hwh : Board, optional
        Board whose .hwh lies beside the .bit; another one than the first is a stale or foreign .hwh.
    cma_bytes : int
        Memory for buffers.
    cma_base : int, optional
        Where it lies; a board with more memory than its DMA reaches may have it where the DMA does not.

    Examples
    --------
    >>> with eie.devices.virtual.VirtualBoard("pynq-z2") as board:
    ...     acc = eie.Accelerator(board.bitfile)
    ...     acc.load("lenet.eie")
    ...     y = acc.run(x, verify=True)
    """

    def __init__(
        self,
        name: str | Board = "pynq-z2",
        executor: Device | None = None,
        *,
        hwh: Board | None = None,
        cma_bytes: int = 128 << 20,
        cma_base: int | None = None,
    ) -> None:
        self.board = board(name) if isinstance(name, str) else name
        self.hwh = hwh or self.board
        self.faults = Faults()
        base = self.board.memory_base
        contiguous = base + _CMA_OFFSET if cma_base is None else cma_base
        self.memory = Memory(base, self.board.memory_bytes, contiguous, cma_bytes)
        self.fabric = Fabric(executor or EmulatedDevice(self.board.config), self.faults)
        self.dma = AxiDma(self.memory, self.fabric, self.faults, self.board.dma_length_bits)
        self.bus = Bus(self.board, self.memory, self.dma, self.fabric)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._device: VirtualDevice | None = None

    @property
    def bitfile(self) -> str:
        """Path of the overlay, while the board is in use as a context."""
        if self._folder is None:
            raise VirtualBoardError("the virtual board is not in use; write: with VirtualBoard(...) as board")
        return str(Path(self._folder.name) / f"{self.board.overlay_name}.bit")

    def inject(self, fault: Fault) -> None:
        """Let a fault happen, once."""
        self.faults.inject(fault)

    def __enter__(self) -> VirtualBoard:
        try:
            from eie.devices.virtual.pynq_layer import VirtualDevice
        except ImportError as error:
            raise MissingExtraError(f"the virtual board needs pynq ({error}); see docs/virtual-board.md") from error
        self._folder = tempfile.TemporaryDirectory(prefix="eie-virtual-board-")
        write_overlay(self.board, Path(self.bitfile), self.hwh)
        self._device = VirtualDevice(self.bus)
        self._device.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._device is not None and self._folder is not None:
            self._device.deactivate()
            self._folder.cleanup()
        self._device = self._folder = None
