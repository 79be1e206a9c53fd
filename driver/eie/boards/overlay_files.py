"""What an overlay's two files, x.bit and x.hwh, say about the build that they come from.

Both carry the name of the block design, which holds the build hash (`eie.boards.board.Board.design_name`). So a .hwh
that belongs to another .bit is recognised before either is used.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from eie.errors import DeviceError

_MAGIC = bytes.fromhex("00090ff00ff00ff00ff0000001")
_HEADER_BYTES = 4096
_WRAPPER = "_wrapper"
"""Vivado's suffix for the top level that it makes around a block design; a .bit is named after it."""


@dataclass(frozen=True)
class Design:
    """What a file says it is of.

    Parameters
    ----------
    name : str
        Name of the block design.
    part : str
        The chip with its package, reduced to lower-case letters and digits, such as "7z020clg400"; empty if unknown.
    """

    name: str
    part: str

    def matches(self, other: Design) -> bool:
        """Return whether two files can be of one build; a .bit's part goes on with speed and temperature grade."""
        shorter, longer = sorted((self.part, other.part), key=len)
        return self.name == other.name and longer.startswith(shorter)

    def __str__(self) -> str:
        return f"{self.name!r} for {self.part or 'an unknown part'}"


def hwh_design(path: Path) -> Design:
    """Return the design that a .hwh file describes; refuse one that is missing or damaged."""
    try:
        system = ElementTree.parse(path).getroot().find("SYSTEMINFO")
    except FileNotFoundError:
        raise DeviceError(f"{path} is missing; copy it from the build that made {path.stem}.bit") from None
    except ElementTree.ParseError as error:
        raise DeviceError(f"{path} is damaged ({error}); copy it again from its build") from None
    if system is None or not system.get("NAME"):
        raise DeviceError(f"{path} describes no block design (it has no SYSTEMINFO); copy it again from its build")
    return Design(system.get("NAME", ""), _plain_part(system.get("DEVICE", "") + system.get("PACKAGE", "")))


_CLOCKS = (
    ("PCW_ACT_FPGA{}_PERIPHERAL_FREQMHZ", "PCW_FPGA_FCLK{}_ENABLE"),
    ("PSU__CRL_APB__PL{}_REF_CTRL__ACT_FREQMHZ", "PSU__FPGA_PL{}_ENABLE"),
)
"""Parameters of the processing systems that tell a clock of the fabric, in MHz, and whether it is used."""


def hwh_clocks(path: Path) -> dict[int, float]:
    """Return the clocks in MHz that a .hwh says its overlay is built for, by number, as far as it tells: 0 is the
    array's, 1 that of the port to the memory if it has one of its own."""
    found = {p.get("NAME"): p.get("VALUE") or "0" for p in ElementTree.parse(path).getroot().iter("PARAMETER")}
    clocks = {}
    for number in range(2):
        for frequency, used in _CLOCKS:
            mhz = float(found.get(frequency.format(number), "0"))
            if mhz and (number == 0 or found.get(used.format(number)) == "1"):
                clocks[number] = mhz
    return clocks


def hwh_memory(path: Path, dma: str) -> tuple[range, ...]:
    """Return the addresses of memory that a DMA reaches for reading and writing; empty if the file states none.

    Parameters
    ----------
    path : Path
        A .hwh file that `hwh_design` takes.
    dma : str
        Its name in the block design, hierarchy included, as pynq gives it.
    """
    reached: dict[str, set[range]] = {}
    for module in ElementTree.parse(path).getroot().iter("MODULE"):
        if module.get("FULLNAME", "").lstrip("/") == dma:
            for found in module.iter("MEMRANGE"):
                base, high = (int(found.get(name, "0"), 0) for name in ("BASEVALUE", "HIGHVALUE"))
                if found.get("MEMTYPE") == "MEMORY":
                    reached.setdefault(found.get("MASTERBUSINTERFACE", ""), set()).add(range(base, high + 1))
    common = set.intersection(*reached.values()) if reached else set()
    return tuple(sorted(common, key=lambda memory: memory.start))


def bit_design(path: Path) -> Design | None:
    """Return the design in the header of a .bit file; None if the file has no header."""
    with open(path, "rb") as file:
        fields = _header_fields(file.read(_HEADER_BYTES))
    if "a" not in fields:
        return None
    name = fields["a"].partition(";")[0].removesuffix(_WRAPPER)
    return Design(name, _plain_part(fields.get("b", "")))


def overlay_design(bitfile: Path) -> tuple[Design, bool]:
    """Return the design of an overlay by its .hwh, and whether the .bit could be compared (it may have no header).

    Raises
    ------
    DeviceError
        If a file is missing or damaged, or the two are of different builds.
    """
    hwh = bitfile.with_suffix(".hwh")
    described, built = hwh_design(hwh), bit_design(bitfile)
    if built is not None and not built.matches(described):
        raise DeviceError(
            f"{hwh.name} is stale: it describes the design {described}, but {bitfile.name} is {built}; copy both files "
            "from one build"
        )
    return described, built is not None


def bit_bytes(design: str, part: str, version: str, data: bytes) -> bytes:
    """Return the content of a .bit file of a block design: header fields and data."""

    def text(tag: bytes, value: str) -> bytes:
        encoded = value.encode("ascii") + b"\0"
        return tag + struct.pack(">H", len(encoded)) + encoded

    fields = text(b"a", f"{design}{_WRAPPER};UserID=0XFFFFFFFF;Version={version}")
    fields += text(b"b", part) + text(b"c", "2026/01/01") + text(b"d", "00:00:00")
    return _MAGIC + fields + b"e" + struct.pack(">I", len(data)) + data


def _header_fields(head: bytes) -> dict[str, str]:
    """Return the fields of a .bit header by their letters: a design, b part, c date, d time."""
    fields: dict[str, str] = {}
    at = len(_MAGIC)
    while head.startswith(_MAGIC) and head[at : at + 1] in (b"a", b"b", b"c", b"d") and at + 3 <= len(head):
        (length,) = struct.unpack_from(">H", head, at + 1)
        text = head[at + 3 : at + 3 + length]
        fields[chr(head[at])] = text.rstrip(b"\0").decode("ascii", "replace")
        at += 3 + length
    return fields


def _plain_part(part: str) -> str:
    return re.sub("[^a-z0-9]", "", part.lower()).removeprefix("xc")
