"""The interface between the driver and what executes its instruction stream."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eie.contract import registers
from eie.contract.config import ArrayConfig
from eie.contract.instruction import ERROR_TEXT, ErrorCode
from eie.errors import DeviceError


class Device(Protocol):
    """What `eie.Accelerator` needs of a device: buffers, two streams and 32-bit registers.

    One transfer is under way at a time: `send` starts it, `receive` waits for it. In between the host is free to
    prepare the next buffer.
    """

    config: ArrayConfig

    def allocate(self, nbytes: int) -> NDArray[np.uint8]:
        """Return a buffer of nbytes that `send` takes, whole or from its start; on a board it lies in DMA memory."""
        ...

    def release(self, buffer: NDArray[np.uint8]) -> None:
        """Free a buffer of `allocate`."""
        ...

    def send(self, buffer: NDArray[np.uint8], reply_bytes: int = 0, changed: Sequence[slice] | None = None) -> None:
        """Start sending one packet of whole instructions (a multiple of 8 bytes).

        The device is first made ready for the packet of reply_bytes that it gives back; 0 if it gives none. The
        buffer must not change before `receive` returns. Where it was sent before, just as long, `changed` may name
        the bytes that are new; None: all.
        """
        ...

    def receive(self, nbytes: int) -> NDArray[np.uint8]:
        """Wait for what was sent; return the next packet, at most nbytes; shorter or empty if the device stopped."""
        ...

    def read_register(self, offset: int) -> int:
        """Read a 32-bit register of `eie.contract.registers`."""
        ...

    def write_register(self, offset: int, value: int) -> None:
        """Write a 32-bit register of `eie.contract.registers`."""
        ...

    def close(self) -> None:
        """Free the device's resources."""
        ...


def checked_deadline(deadline: float) -> float:
    """Return a longest wait in seconds, or raise `DeviceError` unless it is a positive number."""
    if isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or not 0 < deadline < math.inf:
        raise DeviceError(f"deadline is {deadline!r}; it must be a number of seconds above 0")
    return float(deadline)


def error_text(device: Device) -> str:
    """Return the device's decoded error, such as "BAD_OPCODE at instruction 17: ..."; empty if there is none."""
    status = device.read_register(registers.offset("status"))
    code = status >> registers.STATUS_ERROR_SHIFT & 0xFF
    if code == ErrorCode.NONE:
        return ""
    if code not in ERROR_TEXT:
        return f"unknown error code {code}"
    index = device.read_register(registers.offset("error_index"))
    return f"{ErrorCode(code).name} at instruction {index}: {ERROR_TEXT[ErrorCode(code)]}"


def read_counter(device: Device, name: str) -> int:
    """Read a 64-bit counter, consistent although it may be counting."""
    high = device.read_register(registers.offset(f"{name}_high"))
    while True:
        low = device.read_register(registers.offset(f"{name}_low"))
        again = device.read_register(registers.offset(f"{name}_high"))
        if again == high:
            return high << 32 | low
        high = again


def check_identity(device: Device) -> None:
    """Raise `DeviceError` unless the device is an EIE array built from this configuration and version."""
    identity = device.read_register(registers.offset("identity"))
    if identity != registers.MAGIC:
        raise DeviceError(
            f"identity register reads 0x{identity:08x}, not 0x{registers.MAGIC:08x}: this is not an EIE array"
        )
    for name, value in device.config.hardware_parameters().items():
        built = device.read_register(registers.offset(name))
        if built != int(value):
            raise DeviceError(f"the device was built with {name}={built}, the driver was given {name}={int(value)}")
    expected, built = registers.build_hash(device.config), device.read_register(registers.offset("hash"))
    if built != expected:
        raise DeviceError(
            f"build hash 0x{built:08x}, this version of the driver expects 0x{expected:08x}: "
            "rebuild the overlay, or use the driver version that it was built with"
        )
