"""DRAM in two views: what the processor sees through its cache, and what the DMA sees.

They meet only where the driver flushes or invalidates; a forgotten one shows as wrong data, as on a board.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.errors import EieError

_PAGE = 4096
# What fresh memory holds in either view: not zeros, and not the same, so that nobody can rely on it.
_PROCESSOR_GARBAGE, _FABRIC_GARBAGE = 0x5A, 0xA5


class VirtualBoardError(EieError, RuntimeError):
    """A driver did what would crash a board or damage its memory."""


class DecodeError(EieError):
    """An address outside the memory: AXI answers DECERR."""


@dataclass(frozen=True, eq=False)
class Block:
    """Contiguous memory.

    Parameters
    ----------
    address, nbytes : int
    processor, fabric : ndarray, uint8
        The two views.
    """

    address: int
    nbytes: int
    processor: NDArray[np.uint8]
    fabric: NDArray[np.uint8]


class Memory:
    """The contiguous memory (CMA) that a board's DMA buffers are allocated from.

    Parameters
    ----------
    base : int
        Address of the DRAM.
    nbytes : int
        Size of the DRAM.
    contiguous_base, contiguous_bytes : int
        The part of it that buffers come from.
    """

    def __init__(self, base: int, nbytes: int, contiguous_base: int, contiguous_bytes: int) -> None:
        self.base, self.nbytes = base, nbytes
        self.contiguous_base, self.contiguous_bytes = contiguous_base, contiguous_bytes
        self._blocks: dict[int, Block] = {}

    @property
    def allocations(self) -> int:
        """Number of live buffers."""
        return len(self._blocks)

    @property
    def allocated_bytes(self) -> int:
        """Bytes of live buffers, in whole pages."""
        return sum(_pages(block.nbytes) for block in self._blocks.values())

    def allocate(self, nbytes: int) -> Block:
        """Return memory in the first gap that is large enough, or raise MemoryError."""
        address = self.contiguous_base
        for start in sorted(self._blocks):
            if start - address >= _pages(nbytes):
                break
            address = start + _pages(self._blocks[start].nbytes)
        if address + _pages(nbytes) > self.contiguous_base + self.contiguous_bytes:
            free = self.contiguous_bytes - self.allocated_bytes
            raise MemoryError(f"no {nbytes} contiguous bytes are left (CMA: {free} bytes free)")
        views = (np.full(nbytes, value, np.uint8) for value in (_PROCESSOR_GARBAGE, _FABRIC_GARBAGE))
        block = Block(address, nbytes, *views)
        self._blocks[address] = block
        return block

    def free(self, block: Block) -> None:
        """Give memory back."""
        if self._blocks.pop(block.address, None) is not block:
            raise VirtualBoardError(f"the buffer at 0x{block.address:08x} is freed twice")

    def address_of(self, pointer: int, nbytes: int) -> int:
        """Return the address of what the processor has at a virtual address."""
        for block in self._blocks.values():
            offset = pointer - block.processor.ctypes.data
            if offset >= 0 and offset + nbytes <= block.nbytes:
                return block.address + offset
        raise VirtualBoardError(f"{nbytes} bytes at virtual address 0x{pointer:x} are not a live buffer")

    def flush(self, address: int, nbytes: int) -> None:
        """Write the processor's cached lines back: the fabric sees what the processor wrote."""
        block, part = self._find(address, nbytes)
        block.fabric[part] = block.processor[part]

    def invalidate(self, address: int, nbytes: int) -> None:
        """Drop the processor's cached lines: it sees what the fabric wrote."""
        block, part = self._find(address, nbytes)
        block.processor[part] = block.fabric[part]

    def fabric_read(self, address: int, nbytes: int) -> NDArray[np.uint8]:
        """Return what the DMA reads."""
        block, part = self._find(address, nbytes)
        return block.fabric[part]

    def fabric_write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Write what the DMA writes."""
        block, part = self._find(address, len(data))
        block.fabric[part] = data

    def _find(self, address: int, nbytes: int) -> tuple[Block, slice]:
        if not self.base <= address < self.base + self.nbytes:
            raise DecodeError(f"0x{address:08x} lies outside the memory")
        for block in self._blocks.values():
            if block.address <= address and address + nbytes <= block.address + _pages(block.nbytes):
                first = address - block.address
                return block, slice(first, first + nbytes)
        raise VirtualBoardError(
            f"{nbytes} bytes at 0x{address:08x} are not a live buffer: on a board this reads or damages foreign memory"
        )


def _pages(nbytes: int) -> int:
    return max(1, -(-nbytes // _PAGE)) * _PAGE
