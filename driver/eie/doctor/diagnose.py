"""Checks of an installation, from Python to an inference: what is wrong, and what to do.

Each check looks at one thing and needs those before it; what cannot be looked at is skipped, and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from eie.boards.board import Board
from eie.devices.choice import device_by_name
from eie.devices.emulation.device import EmulatedDevice
from eie.devices.interface import Device
from eie.doctor.array import check_device
from eie.doctor.check import FAIL, Check, Findings
from eie.doctor.environment import (
    check_board,
    check_board_version,
    check_compiler,
    check_extras,
    check_numpy,
    check_pynq,
    check_python,
    has_pynq,
)
from eie.doctor.overlay import check_overlay
from eie.errors import EieError


def diagnose(device: str = "auto", virtual_board: str | None = None) -> list[Check]:
    """Look at everything, in order.

    Parameters
    ----------
    device : str
        See `eie.devices.choice.device_by_name`; a path that ends in .bit is an overlay, whose files are looked at too.
    virtual_board : str, optional
        Name of a board: the overlay is the one of a virtual board, and `device` is not used.

    Returns
    -------
    list of Check
    """
    findings = Findings()
    check_python(findings)
    check_numpy(findings)
    usable = check_pynq(findings)
    check_extras(findings)
    check_compiler(findings)
    described = check_board(findings, virtual_board)
    if described is not None and has_pynq():
        check_board_version(findings, described)
    try:
        with _opened(device, virtual_board, described, usable) as (name, overlay, opened):
            if check_overlay(findings, overlay, described):
                check_device(findings, name, opened)
    except EieError as error:
        findings.add("device", FAIL, str(error), "see the message; docs/virtual-board.md and docs/overlay.md help")
    return findings.checks


# The environment.


# The overlay.


@contextmanager
def _opened(
    device: str, virtual_board: str | None, described: Board | None, usable_pynq: bool
) -> Iterator[tuple[str, Path | None, Callable[[], Device]]]:
    """Give the device's name, its overlay if it has one, and what opens it."""
    if virtual_board is not None:
        from eie.devices.virtual import VirtualBoard

        with VirtualBoard(virtual_board) as virtual:
            yield "virtual board", Path(virtual.bitfile), lambda: device_by_name(virtual.bitfile)
    elif device.endswith(".bit"):
        yield device, Path(device), lambda: device_by_name(device)
    elif device == "auto" and described is not None and usable_pynq:
        from eie.devices.choice import find_overlay

        overlay = find_overlay(described.name)
        yield str(overlay), overlay, lambda: device_by_name(str(overlay))
    elif device == "auto" and not usable_pynq:
        yield "emulated", None, EmulatedDevice
    else:
        yield device, None, lambda: device_by_name(device)


# The device.


# Versions.
