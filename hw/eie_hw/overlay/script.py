"""The Tcl script that builds an overlay in Vivado: settings and block design of a board, then the Tcl files here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eie.boards.board import ARRAY_CELL, ARRAY_VLNV, Board
from eie.boards.memory_port import port_clock_mhz, port_has_own_clock, reachable_clocks
from eie.contract import isa, registers
from eie_hw.overlay.analyser import ANALYSER_WORDS
from eie_hw.overlay.block_design import CONCATENATION, TOP, Cell, Mapping, block_design
from eie_hw.overlay.interfaces import CLOCK, INTERFACES, RESET
from eie_hw.overlay.processing_system import processing_system
from eie_hw.overlay.tcl import command, quote, quoted_list
from eie_hw.overlay.vivado import release

PROCEDURES = tuple(Path(__file__).with_name(name) for name in ("design.tcl", "package.tcl", "probe.tcl", "flow.tcl"))

STRATEGIES = ("Performance_Explore", "Performance_ExplorePostRoutePhysOpt", "Congestion_SpreadLogic_high")
"""Implementation strategies of Vivado (AMD UG904), in the order in which they are tried."""

MEMORY_LIMIT = 80
"""Percent of the LUTs that can be memory from which on the script warns."""


@dataclass(frozen=True)
class BuildOptions:
    """How an overlay is built.

    Parameters
    ----------
    jobs : int
        Processes that Vivado may start.
    packaged : bool
        The array becomes an IP of the catalogue; else a module reference.
    analyser : bool
        With a logic analyser on both streams, the registers' bus and the state of the control unit.
    slower : bool
        If the timing is missed, publish for the highest clock that meets it.
    """

    jobs: int = 4
    packaged: bool = True
    analyser: bool = False
    slower: bool = False


def build_script(board: Board, sources: Sequence[str], options: BuildOptions | None = None) -> str:
    """Return the script.

    Parameters
    ----------
    board : Board
    sources : sequence of str
        VHDL files in the order of compilation, relative to the script.
    options : BuildOptions, optional

    Returns
    -------
    str
        ASCII; it needs nothing but Vivado and the sources.
    """
    options = options or BuildOptions()
    system = processing_system(board)
    settings = {
        "overlay": board.overlay_name,
        "part": board.part,
        "design": board.design_name,
        "top": TOP,
        "vlnv": ARRAY_VLNV,
        "packaged": int(options.packaged),
        "jobs": options.jobs,
        "clock_mhz": board.clock_mhz,
        "clock_cell": system.cell,
        "clock_property": system.clock_property,
        "port_clock_mhz": port_clock_mhz(board),
        "port_clock_property": system.port_clock_property if port_has_own_clock(board) else "",
        "slower": int(options.slower),
        "analyser_words": ANALYSER_WORDS if options.analyser else 0,
        "memory_limit": MEMORY_LIMIT,
        "description": _open_object(description(board)),
    }
    lists = {
        "vivado": release(board.vivado_version),
        "sources": sources,
        "interfaces": INTERFACES,
        "clocks": [f"{clock:g}" for clock in _slower_clocks(board)],
        "strategies": STRATEGIES,
    }
    lines = [f"# Builds the overlay {board.overlay_name}: vivado -mode batch -source build.tcl"]
    lines += ["# Written by build_overlay.py; change the board's description and write it again.", ""]
    lines += ["cd [file dirname [file normalize [info script]]]", "namespace eval eie {"]
    lines += [f"    variable {name} {quote(value)}" for name, value in settings.items()]
    lines += [f"    variable {name} {quoted_list(values)}" for name, values in lists.items()]
    lines += ["}", "", *_design_procedures(board, options), ""]
    lines += [path.read_text(encoding="ascii") for path in PROCEDURES]
    return "\n".join([*lines, "eie::run", ""])


def description(board: Board) -> dict[str, object]:
    """Return what is built, by name, as the .json beside the overlay states it."""
    return {
        "overlay": board.overlay_name,
        "board": board.title,
        "part": board.part,
        "clock_mhz": board.clock_mhz,
        "design": board.design_name,
        "hash": f"0x{registers.build_hash(board.config):08x}",
        "instruction_set_version": isa.VERSION,
        "register_map_version": registers.VERSION,
        "dma_address": f"0x{board.dma_address:08X}",
        "array_address": f"0x{board.array_address:08X}",
        "array": board.config.to_dict(),
    }


def _slower_clocks(board: Board) -> list[float]:
    """Return the clocks below a board's, highest first, for which its PLL gives the port one in proportion."""
    clocks = reachable_clocks(board)
    ratio = port_clock_mhz(board) / board.clock_mhz
    slower = [clock for clock in clocks if board.clock_mhz / 4 < clock < board.clock_mhz]
    return [clock for clock in slower if any(abs(other / clock / ratio - 1) < 1e-4 for other in clocks)]


def _open_object(values: dict[str, object]) -> str:
    return json.dumps(values, indent=2).rstrip("}").rstrip()


def _design_procedures(board: Board, options: BuildOptions) -> list[str]:
    design = block_design(board, options.packaged, options.analyser)
    system = processing_system(board)
    interfaces = quoted_list(design.associated)
    build = [_cell(cell) for cell in design.cells]
    build += [command("eie::external", pin, vlnv) for pin, vlnv in design.external]
    build += [command("eie::interface", master, slave) for master, slave in design.interfaces]
    build += [command("eie::watch", interface, probe) for interface, probe in design.watched]
    build += [f"{command('eie::net', driver)} {quoted_list(driven)}" for driver, driven in design.nets]
    build += [
        f"{command('eie::clock_interconnect', name)} {quoted_list(ports)} {command(clock, design.reset)}"
        for name, ports, clock in design.clocked
    ]
    build += [f"{command('eie::associate', ARRAY_CELL, CLOCK, RESET)} {interfaces}"]
    build += [_mapping("eie::map_memory" if mapping.memory else "eie::map", mapping) for mapping in design.mappings]
    build += [_mapping("eie::hide", mapping) for mapping in design.unreachable]
    check = [f"{command('eie::check_clock', design.clock, ARRAY_CELL, CLOCK)} {interfaces} {quote(board.clock_mhz)}"]
    check += [
        f"{command('eie::check_clock', pin, system.cell, driven)} {quoted_list(())} {quote(mhz)}"
        for pin, driven, mhz in design.clocks
    ]
    check += [f"{command('eie::check_pll', system.cell)} {quoted_list(system.pll_properties)} {quote(board.pll_mhz)}"]
    return [_procedure("build", build), "", _procedure("check", check)]


def _procedure(verb: str, calls: list[str]) -> str:
    return "\n".join([f"proc eie::{verb}_block_design {{}} {{", *(f"    {call}" for call in calls), "}"])


def _mapping(procedure: str, mapping: Mapping) -> str:
    return command(procedure, mapping.space, mapping.segment, f"0x{mapping.base:08X}", f"0x{mapping.size:08X}")


def _cell(cell: Cell) -> str:
    parameters = quoted_list(word for item in cell.parameters for word in item)
    if cell.kind == CONCATENATION:
        return f"{command('eie::concatenation', cell.name)} {parameters}"
    return f"{command(f'eie::{cell.kind}', cell.name, cell.reference)} {parameters}"
