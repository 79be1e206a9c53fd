"""A board without the board: memory, DMA and array behind the addresses that the processor uses."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eie.boards.board import REGISTER_BYTES, Board, board
from eie.boards.overlay_files import bit_bytes
from eie.contract.registers import build_hash
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device
from eie.devices.virtual.axi_dma import AxiDma
from eie.devices.virtual.fabric import Fabric
from eie.devices.virtual.faults import Fault, Faults
from eie.devices.virtual.hwh import hwh_text
from eie.devices.virtual.memory import Memory, VirtualBoardError
from eie.errors import MissingExtraError

if TYPE_CHECKING:
    from eie.devices.virtual.pynq_layer import VirtualDevice

_CMA_OFFSET = 0x1000_0000
_PERIPHERALS = 0xE000_0000
"""From here on the processing system's own registers lie, such as those of the clocks."""

_PLL_SETTINGS = {0xF800_0108: 20 << 12, 0xFF5E_0020: 1 << 16 | 90 << 8}
"""The PLL that the fabric's clock is made from: 1000 MHz on Zynq-7000, 1500 MHz on Zynq UltraScale+."""

_CONFIGURATION = bytes.fromhex("ffffffff aa995566 20000000 20000000")
"""What stands for the configuration in a virtual .bit: synchronisation word and no-operations."""

_PATIENCE_SECONDS = 60.0


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
        self._peripherals: dict[int, NDArray[np.uint32]] = {}
        self._same_reads: tuple[object, float] = (None, 0.0)
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
        self._device = VirtualDevice(self)
        self._device.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._device is not None and self._folder is not None:
            self._device.deactivate()
            self._folder.cleanup()
        self._device = self._folder = None

    # The processor's side of the bus.

    def read(self, address: int) -> int:
        """Read a 32-bit register; the board advances."""
        self._watch(address)
        self.dma.step()
        if offset := self._offset(address, self.board.dma_address):
            return self.dma.read(offset - 1)
        if offset := self._offset(address, self.board.array_address):
            return self.fabric.read_register(offset - 1)
        raise VirtualBoardError(self._bus_error("reads", address))

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register."""
        self._same_reads = (None, 0.0)
        if offset := self._offset(address, self.board.dma_address):
            self.dma.write(offset - 1, value)
        elif offset := self._offset(address, self.board.array_address):
            self.fabric.write_register(offset - 1, value)
        else:
            raise VirtualBoardError(self._bus_error("writes", address))

    def peripherals(self, base: int, length: int) -> NDArray[np.uint32] | None:
        """Return registers of the processing system itself, which hold what is written; None if they are not its."""
        if base < _PERIPHERALS:
            return None
        if base not in self._peripherals:
            array = np.zeros(length // 4, np.uint32)
            for address, value in _PLL_SETTINGS.items():
                if base <= address < base + length:
                    array[(address - base) // 4] = value
            self._peripherals[base] = array
        return self._peripherals[base]

    def _offset(self, address: int, base: int) -> int:
        """Return 1 + the offset from a base, or 0 if the address is not in its range."""
        return address - base + 1 if base <= address < base + REGISTER_BYTES else 0

    def _bus_error(self, verb: str, address: int) -> str:
        return (
            f"the processor {verb} 0x{address:08x}, where the loaded overlay has nothing: on a board the process ends "
            "with a bus error, or the board hangs"
        )

    def _watch(self, address: int) -> None:
        """End a loop that reads one register for ever, while nothing moves."""
        watched, since = self._same_reads
        present = (address, self.dma.progress)
        if watched != present:
            self._same_reads = (present, time.monotonic())
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            raise VirtualBoardError(f"register 0x{address:08x} was read for {_PATIENCE_SECONDS:g} s: the driver hangs")


def write_overlay(board: Board, bitfile: Path, hwh: Board | None = None) -> None:
    """Write a virtual overlay: a .bit without configuration, with its .hwh and what it was built from beside it."""
    data = bit_bytes(board.design_name, board.part, board.vivado_version, _CONFIGURATION)
    bitfile.write_bytes(data)
    built_from = {
        "overlay": board.overlay_name,
        "board": board.title,
        "hash": f"0x{build_hash(board.config):08x}",
        "array": board.config.to_dict(),
    }
    bitfile.with_suffix(".json").write_text(json.dumps(built_from, indent=2), encoding="utf-8")
    bitfile.with_suffix(".hwh").write_text(hwh_text(hwh or board), encoding="utf-8")
