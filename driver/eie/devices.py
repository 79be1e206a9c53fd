"""Devices by name, as a command line or a notebook gives them."""

from __future__ import annotations

from eie.config import ArrayConfig
from eie.device import Device
from eie.emulation import EmulatedDevice
from eie.errors import DeviceError, MissingExtraError

DEVICES = ("emulated", "rtl")
"""Names that `device_by_name` knows."""


def device_by_name(name: str, config: ArrayConfig | None = None) -> Device:
    """Return a device.

    Parameters
    ----------
    name : {"emulated", "rtl"}
        The numpy emulation, or the converted hardware description, compiled and simulated.
    config : ArrayConfig, optional
        Default: ``ArrayConfig()``.

    Raises
    ------
    DeviceError
        If there is no device of this name.
    MissingExtraError
        If it needs a package that is not installed.
    """
    config = config or ArrayConfig()
    if name == "emulated":
        return EmulatedDevice(config)
    if name == "rtl":
        return _rtl_device(config)
    known = " and ".join(f'"{device}"' for device in DEVICES)
    raise DeviceError(f"there is no device {name!r}; {known} are known")


def _rtl_device(config: ArrayConfig) -> Device:
    try:
        from eie_hw.rtl_device import RtlDevice
    except ImportError as error:
        raise MissingExtraError(
            f"device 'rtl' needs the hardware description and its simulator ({error}): pip install 'eie-pynq[hardware]'"
        ) from error
    return RtlDevice(config)
