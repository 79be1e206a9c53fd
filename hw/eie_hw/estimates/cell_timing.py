"""Delays of the 7-series cells: from clock to output, through a cell, and before the clock (cell_delays.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from eie.errors import DeviceError

DELAYS = Path(__file__).with_name("cell_delays.json")
_TABLE = json.loads(DELAYS.read_text(encoding="utf-8"))

_LUT = re.compile(r"LUT[1-6]|INV")
_RAM = re.compile(r"RAM(?:\d+X1[SD]|\d+M)")
_SHIFT = re.compile(r"SRL(?:16E|C32E|C16E)")
_CLOCKS = frozenset(("C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"))

Arc = tuple[str, int | None, str, int | None, float]
"""Input port and bit (None: every one), output port and bit, delay in ns."""


def through(kind: str) -> Iterator[Arc]:
    """Return the combinational arcs of a kind of cell."""
    if _LUT.fullmatch(kind):
        yield from ((f"I{i}" if kind != "INV" else "I", None, "O", None, _TABLE["lut"]) for i in range(6))
    elif kind in ("MUXF7", "MUXF8"):
        delay = _TABLE[kind.lower()]
        yield from ((port, None, "O", None, delay[port[0]]) for port in ("I0", "I1", "S"))
    elif kind == "CARRY4":
        yield from _carry()
    elif kind in ("RAM64M", "RAM32M"):
        yield from ((f"ADDR{port}", None, f"DO{port}", None, _TABLE["lut"]) for port in "ABCD")
    elif match := re.fullmatch(r"RAM\d+X1([SD])", kind):
        addresses = [f"A{i}" for i in range(8)] + ["A"]
        yield from ((port, None, "O" if match[1] == "S" else "SPO", None, _TABLE["lut"]) for port in addresses)
        if match[1] == "D":
            yield from ((f"DPR{port}", None, "DPO", None, _TABLE["lut"]) for port in addresses)
    elif _SHIFT.fullmatch(kind):
        yield from ((port, None, "Q", None, _TABLE["lut"]) for port in ("A", "A0", "A1", "A2", "A3"))


def _carry() -> Iterator[Arc]:
    table = _TABLE["carry"]
    inputs = [("CI", 0, table["CI"]), ("CYINIT", 0, table["CYINIT"])]
    inputs += [(port, bit, table[port][bit]) for port in ("S", "DI") for bit in range(4)]
    for port, bit, delays in inputs:
        for output, values in delays.items():
            yield from ((port, bit, output, j, value) for j, value in enumerate(values) if value is not None)


def launch(kind: str, port: str, parameters: dict[str, str]) -> float | None:
    """Return the delay in ns from the clock to an output port, or None if the cell is not clocked."""
    if kind.startswith("FD"):
        return _TABLE["flip_flop"]["clock"]
    if kind.startswith("RAMB"):
        register = parameters.get("DOA_REG" if port.startswith(("DOA", "DOPA")) else "DOB_REG", "0")
        return _TABLE["block_ram"]["clock_registered" if int(register, 2) else "clock"]
    if kind == "DSP48E1":
        return _TABLE["dsp"]["clock"]
    if _RAM.fullmatch(kind):
        return _TABLE["lut_ram"]["clock"]
    return _TABLE["shift_register"]["clock"] if _SHIFT.fullmatch(kind) else None


def setup(kind: str, port: str) -> float | None:
    """Return the time in ns that a port must be stable before the clock, or None if no clock takes it.

    Raises
    ------
    DeviceError
        For a clocked port that is not known, so that no path goes unseen.
    """
    if port in _CLOCKS:
        return None
    if kind.startswith("FD"):
        return _TABLE["flip_flop"]["R" if port in ("R", "S", "CLR", "PRE") else port]
    if kind.startswith("RAMB"):
        return _of_prefix(kind, port, _TABLE["block_ram"], {"DIP": "DI", "RST": "EN"})
    if kind == "DSP48E1":
        return None if port in _UNUSED_DSP else _of_prefix(kind, port, _TABLE["dsp"], {})
    if _RAM.fullmatch(kind):
        return _memory_setup(port)
    if _SHIFT.fullmatch(kind):
        return _TABLE["shift_register"].get(port)
    if _LUT.fullmatch(kind) or kind in ("MUXF7", "MUXF8", "CARRY4"):
        return None
    raise DeviceError(f"the delays of a cell {kind!r} are not known; add them to {DELAYS.name}")


_UNUSED_DSP = frozenset(
    ("D", "ALUMODE", "INMODE", "CARRYIN", "CARRYINSEL", "ACIN", "BCIN", "PCIN", "CARRYCASCIN", "MULTSIGNIN")
)
"""Ports of the DSP slice that are constant in this design (`multiply_accumulate_dsp48e1`)."""


def _memory_setup(port: str) -> float | None:
    table = _TABLE["lut_ram"]
    if port.startswith("D") and not port.startswith("DPRA"):
        return table["D"]
    if port == "WE":
        return table["WE"]
    if port == "A6":  # above 64 words, between LUTs
        return table["A6"]
    return table["A"] if re.fullmatch(r"A\d?|ADDRD", port) else None


def _of_prefix(kind: str, port: str, table: dict[str, float], aliases: dict[str, str]) -> float:
    for prefix, name in aliases.items():
        if port.startswith(prefix):
            return table[name]
    for name in sorted(table, key=len, reverse=True):
        if port.startswith(name):
            return table[name]
    raise DeviceError(f"the delay of {kind}.{port} is not known; add it to {DELAYS.name}")
