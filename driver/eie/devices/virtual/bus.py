"""The processor's side of a virtual board: every address that it reads and writes."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from eie.boards.board import REGISTER_BYTES, Board
from eie.devices.virtual.axi_dma import AxiDma
from eie.devices.virtual.fabric import Fabric
from eie.devices.virtual.memory import Memory, VirtualBoardError

_PERIPHERALS = 0xE000_0000
"""From here on the processing system's own registers lie, such as those of the clocks."""

_PLL_REGISTERS = {"processing_system7": (0xF800_0108, 12, 50), "zynq_ultra_ps_e": (0xFF5E_0020, 8, 100 / 3)}
"""The PLL that the fabric's clock is made from: its register, where in it the factor lies, and what this multiplies in
MHz (AMD UG585, UG1087)."""
_HALVED = 1 << 16
"""On Zynq UltraScale+: half of that product."""

_PATIENCE_SECONDS = 60.0


class Bus:
    """Memory, DMA and array at the addresses of a board; it advances when the processor reads a register.

    Parameters
    ----------
    board : Board
    memory : Memory
    dma : AxiDma
    fabric : Fabric
    """

    def __init__(self, board: Board, memory: Memory, dma: AxiDma, fabric: Fabric) -> None:
        self.board, self.memory, self.dma, self.fabric = board, memory, dma, fabric
        self._peripherals: dict[int, NDArray[np.uint32]] = {}
        self._same_reads: tuple[object, float] = (None, 0.0)

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
            address, shift, crystal_mhz = _PLL_REGISTERS[self.board.processing_system]
            if base <= address < base + length:
                halved = self.board.processing_system == "zynq_ultra_ps_e"
                factor = round(self.board.pll_mhz * (2 if halved else 1) / crystal_mhz)
                array[(address - base) // 4] = factor << shift | (_HALVED if halved else 0)
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
