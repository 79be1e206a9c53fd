"""The virtual board as a device of the pynq library."""

from __future__ import annotations

import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that this is no board
    from pynq._3rdparty import tinynumpy
    from pynq.buffer import PynqBuffer
    from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser
    from pynq.mmio import _AccessHook
    from pynq.pl_server.device import Device
    from pynq.ps import ZU_ARCH, ZYNQ_ARCH, Clocks
from pynqmetadata.frontends import Metadata

from eie.devices.virtual.memory import Block

if TYPE_CHECKING:
    from eie.devices.virtual.bus import Bus

_WORD_BYTES = 4


class _Registers(tinynumpy.ndarray):
    """A range of 32-bit registers, as the array that pynq's MMIO and register maps read and write."""

    def __init__(self, device: VirtualDevice, base: int, length: int) -> None:
        super().__init__((length // _WORD_BYTES,), "u4", hook=_AccessHook(base, device))
        self.bus, self.address = device.bus, base

    def __getitem__(self, index: Any) -> Any:
        # Single registers are all that a driver polls, and tinynumpy is slow at them.
        return self.bus.read(self.address + _WORD_BYTES * index) if type(index) is int else super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if type(index) is int:
            self.bus.write(self.address + _WORD_BYTES * index, int(value))
        else:
            super().__setitem__(index, value)


class _VirtualMemory:
    """The board's memory, as pynq allocates from it."""

    def __init__(self, device: VirtualDevice) -> None:
        self.device = device

    def allocate(self, shape: Any, dtype: Any, **kwargs: Any) -> PynqBuffer:
        shape = (shape,) if np.isscalar(shape) else tuple(shape)
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            block = self.device.bus.memory.allocate(nbytes)
        except MemoryError as error:
            raise RuntimeError(f"BO allocation failed: {error}") from None  # as pynq does
        buffer = PynqBuffer(
            shape, dtype, buffer=block.processor, device=self.device, device_address=block.address, coherent=False
        )
        # A freed buffer goes back through return_pointer; without these, pynq would unmap the memory itself.
        buffer.memory, buffer.pointer, buffer.return_to, buffer.freed = self, block, self, True
        return buffer

    def return_pointer(self, block: Block) -> None:
        self.device.bus.memory.free(block)


class VirtualDevice(Device):
    """A pynq device whose registers and memory are those of a `VirtualBoard`.

    Parameters
    ----------
    bus : Bus
    """

    _probe_priority_ = 10_000

    @classmethod
    def _probe_(cls) -> list[Device]:
        return []

    def __init__(self, bus: Bus) -> None:
        super().__init__(f"eie-virtual-{bus.board.name}-{id(bus):x}")
        self.bus = bus
        self.name = self.tag
        self.arch = ZYNQ_ARCH if bus.board.processing_system == "processing_system7" else ZU_ARCH
        self.capabilities = {"MEMORY_MAPPED": True}
        self.timestamp = self.bitfile_name = ""
        self._previous: Device | None = None

    def activate(self) -> None:
        """Become pynq's active device."""
        self._previous = vars(Device).get("_active_device")
        Device.active_device = self
        _forget_clocks()

    def deactivate(self) -> None:
        """Give pynq back the device that was active before."""
        if self._previous is not None:
            Device.active_device = self._previous
        elif "_active_device" in vars(Device):
            del Device._active_device
        _forget_clocks()

    # What pynq asks of a device.

    @property
    def default_memory(self) -> _VirtualMemory:
        return _VirtualMemory(self)

    def get_memory(self, description: Any) -> _VirtualMemory:
        return _VirtualMemory(self)

    def mmap(self, base: int, length: int) -> Any:
        peripherals = self.bus.peripherals(base, length)
        return _Registers(self, base, length) if peripherals is None else peripherals

    def read_registers(self, address: int, length: int) -> bytes:
        words = (self.bus.read(address + offset) for offset in range(0, length, _WORD_BYTES))
        return b"".join(struct.pack("<I", word) for word in words)

    def write_registers(self, address: int, data: bytes) -> None:
        for offset in range(0, len(data), _WORD_BYTES):
            self.bus.write(address + offset, struct.unpack_from("<I", data, offset)[0])

    def flush(self, bo: Any, offset: int, pointer: int, nbytes: int) -> None:
        self.bus.memory.flush(self._address(pointer, nbytes), nbytes)

    def invalidate(self, bo: Any, offset: int, pointer: int, nbytes: int) -> None:
        self.bus.memory.invalidate(self._address(pointer, nbytes), nbytes)

    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        parser = RuntimeMetadataParser(Metadata(input=bitfile_name.removesuffix(".bit") + ".hwh"))
        parser.refresh_hierarchy_dict()
        return parser

    def download(self, bitstream: Any, parser: Any = None) -> None:
        self.post_download(bitstream, parser, self.name)

    def gen_cache(self, bitstream: Any, parser: Any = None) -> None:
        pass

    def shutdown(self) -> None:
        pass

    def _address(self, pointer: int, nbytes: int) -> int:
        """Return the physical address of processor memory."""
        return self.bus.memory.address_of(pointer, nbytes)


def _forget_clocks() -> None:
    """Let pynq look at the clocks of the present device; it keeps those of the first."""
    if hasattr(Clocks, "_real_instance"):
        del Clocks._real_instance
