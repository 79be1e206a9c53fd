"""Devices by name, as a command line or a notebook gives them."""

from __future__ import annotations

from eie.contract.config import ArrayConfig
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device
from eie.errors import DeviceError, MissingExtraError

DEVICES = ("emulated", "rtl")
"""Names that `device_by_name` knows."""


def device_by_name(name: str, config: ArrayConfig | None = None) -> Device:
    """Return a device.

    Parameters
    ----------
    name : {"emulated", "rtl", "auto"} or str
        The numpy emulation; the converted hardware description, compiled and simulated; what is at hand
        (`eie.devices.nearest.nearest_device`); or the path of a board's overlay, which ends in .bit.
    config : ArrayConfig, optional
        Default: ``ArrayConfig()``. An overlay has its own, and so has what is at hand.

    Raises
    ------
    DeviceError
        If there is no device of this name.
    MissingExtraError
        If it needs a package that is not installed.
    """
    if name.endswith(".bit"):
        return _pynq_device(name)
    if name == "auto":
        from eie.devices.nearest import nearest_device

        return nearest_device()
    config = config or ArrayConfig()
    if name == "emulated":
        return EmulatedDevice(config)
    if name == "rtl":
        return _rtl_device(config)
    known = " and ".join(f'"{device}"' for device in DEVICES)
    raise DeviceError(f"there is no device {name!r}; {known} are known")


def _rtl_device(config: ArrayConfig) -> Device:
    try:
        from eie.devices.rtl.device import RtlDevice
    except ImportError as error:
        raise MissingExtraError(
            f"device 'rtl' needs the hardware description and its simulator ({error}): pip install 'eie-pynq[hardware]'"
        ) from error
    return RtlDevice(config)


def _pynq_device(bitfile: str) -> Device:
    try:
        from eie.devices.pynq_board.device import PynqDevice
    except ImportError as error:
        raise MissingExtraError(
            f"device {bitfile!r} needs pynq ({error}): it is on the board's image; off the board, "
            "docs/virtual-board.md says how to install it"
        ) from error
    return PynqDevice(bitfile)
