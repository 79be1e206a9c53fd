"""Devices by name, as a command line or a notebook gives them; and the one at hand."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from eie.boards.board import board_names, shipped_overlays
from eie.contract.config import ArrayConfig
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device
from eie.errors import DeviceError, MissingExtraError

DEVICES = ("emulated", "rtl")
"""Names that `device_by_name` knows."""

_MARKER = Path("/proc/device-tree/chosen/pynq_board")
"""Where a PYNQ image states its board; a login shell also has it in the variable BOARD."""


def as_device(device: Device | str) -> Device:
    """Return a device, opened if its name is given (`device_by_name`); `DeviceError` says that it is none."""
    if isinstance(device, str):
        device = device_by_name(device)
    if not isinstance(getattr(device, "config", None), ArrayConfig):
        raise DeviceError(
            f"device is {device!r}; it must be a device such as eie.EmulatedDevice(config), or the name of one"
        )
    return device


def device_by_name(name: str, config: ArrayConfig | None = None) -> Device:
    """Return a device.

    Parameters
    ----------
    name : {"emulated", "rtl", "auto"} or str
        The numpy emulation; the converted hardware description, compiled and simulated; what is at hand
        (`nearest_device`); or the path of a board's overlay, which ends in .bit.
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
        return nearest_device()
    config = config or ArrayConfig()
    if name == "emulated":
        return EmulatedDevice(config)
    if name == "rtl":
        return _rtl_device(config)
    known = " and ".join(f'"{device}"' for device in DEVICES)
    raise DeviceError(f"there is no device {name!r}; {known} are known")


def nearest_device() -> Device:
    """Return the device that a program runs on when it does not say which.

    Returns
    -------
    Device
        On a board, `eie.PynqDevice` with the overlay that `find_overlay` finds. Where pynq is installed but this is no
        board, `eie.devices.virtual.device.VirtualBoardDevice`. Otherwise `eie.EmulatedDevice`.

    Raises
    ------
    DeviceError
        On a board, if there is no overlay for it.
    """
    if importlib.util.find_spec("pynq") is None:
        return EmulatedDevice()
    name = this_board()
    if name is None:
        from eie.devices.virtual.device import VirtualBoardDevice

        return VirtualBoardDevice()
    from eie.devices.pynq_board.device import PynqDevice

    return PynqDevice(find_overlay(name))


def this_board() -> str | None:
    """Return the name of the PYNQ board that this runs on, as in `eie.boards.board`; None if it is none."""
    if _MARKER.exists():
        return _plain(_MARKER.read_text(encoding="ascii", errors="replace"))
    # Other software uses a variable of this name too: it counts where it names a board that there is an overlay for.
    name = _plain(os.environ.get("BOARD", ""))
    return name if name in board_names() else None


def find_overlay(name: str) -> Path:
    """Return the installed overlay of a board, eie-NAME.bit; one of the working directory is the caller's to name.

    Raises
    ------
    DeviceError
        If there is none.
    """
    file, place = f"eie-{name}.bit", shipped_overlays() / name
    if (place / file).exists():
        return place / file
    here = f'; the one of the working directory is eie.Accelerator("{file}")' if Path(file).exists() else ""
    raise DeviceError(
        f"there is no {file} in {place}{here}: build the overlay with scripts/build_overlay.py (boards: "
        f"{', '.join(board_names())}) and copy its .bit and .hwh to that folder, or name its path; "
        'eie.Accelerator("emulated") works without'
    )


def _rtl_device(config: ArrayConfig) -> Device:
    try:
        from eie.devices.rtl.device import RtlDevice
    except ImportError as error:
        raise MissingExtraError(
            f"device 'rtl' needs the hardware description and its simulator ({error}): pip install 'eie-pynq[hardware]'"
        ) from error
    return RtlDevice(config)


def _pynq_device(bitfile: str) -> Device:
    from eie.devices.pynq_board.device import PynqDevice

    return PynqDevice(bitfile)


def _plain(board: str) -> str:
    """Return a board's name as its folder in overlays/ is called."""
    return board.strip("\0 \n").lower()
