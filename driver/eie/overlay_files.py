"""What an overlay's two files, x.bit and x.hwh, say about the build that they come from.

Both carry the name of the block design, which holds the build hash (`eie.boards.Board.design_name`). So a .hwh that
belongs to another .bit is recognised before either is used.
"""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree import ElementTree

from eie.errors import DeviceError

_MAGIC = bytes.fromhex("00090ff00ff00ff00ff0000001")
_WRAPPER = "_wrapper"
"""Vivado's suffix for the top level that it makes around a block design; a .bit is named after it."""


def hwh_design(path: Path) -> str:
    """Return the name of the design that a .hwh file describes."""
    try:
        system = ElementTree.parse(path).getroot().find("SYSTEMINFO")
    except FileNotFoundError:
        raise DeviceError(f"{path} is missing; copy it from the build that made {path.stem}.bit") from None
    except ElementTree.ParseError as error:
        raise DeviceError(f"{path} is damaged: {error}; copy it again") from None
    if system is None or not system.get("NAME"):
        raise DeviceError(f"{path} describes no block design (it has no SYSTEMINFO); copy it again from its build")
    return system.get("NAME", "")


def bit_design(path: Path) -> str | None:
    """Return the name of the block design in the header of a .bit file; None if the file has no header."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except FileNotFoundError:
        raise DeviceError(f"there is no overlay {path}") from None
    if not head.startswith(_MAGIC) or head[len(_MAGIC) : len(_MAGIC) + 1] != b"a":
        return None
    (length,) = struct.unpack_from(">H", head, len(_MAGIC) + 1)
    start = len(_MAGIC) + 3
    name = head[start : start + length].rstrip(b"\0").split(b";")[0].decode("ascii", "replace")
    return name.removesuffix(_WRAPPER)


def bit_bytes(design: str, part: str, version: str, data: bytes) -> bytes:
    """Return the content of a .bit file of a block design: header fields and data."""

    def text(tag: bytes, value: str) -> bytes:
        encoded = value.encode("ascii") + b"\0"
        return tag + struct.pack(">H", len(encoded)) + encoded

    fields = text(b"a", f"{design}{_WRAPPER};UserID=0XFFFFFFFF;Version={version}")
    fields += text(b"b", part) + text(b"c", "2026/01/01") + text(b"d", "00:00:00")
    return _MAGIC + fields + b"e" + struct.pack(">I", len(data)) + data
