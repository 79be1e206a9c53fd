"""The Tcl script that builds an overlay in Vivado: the block design and settings of a board, then flow.tcl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from eie.boards.board import Board
from eie.contract import isa, registers
from eie_hw.overlay.block_design import CONCATENATION, BlockDesign, Cell, block_design
from eie_hw.overlay.tcl import command, quote, quoted_list
from eie_hw.overlay.vivado import release

FLOW = Path(__file__).with_name("flow.tcl")


def build_script(board: Board, sources: Sequence[str], jobs: int = 4) -> str:
    """Return the script.

    Parameters
    ----------
    board : Board
    sources : sequence of str
        VHDL files in the order of compilation, relative to the script.
    jobs : int
        Processes that Vivado may start.

    Returns
    -------
    str
        ASCII; it needs nothing but Vivado and the sources.
    """
    settings = {
        "overlay": board.overlay_name,
        "part": board.part,
        "design": board.design_name,
        "jobs": jobs,
        "description": _open_object(description(board)),
    }
    lines = [f"# Builds the overlay {board.overlay_name}: vivado -mode batch -source build.tcl"]
    lines += ["# Written by build_overlay.py; change the board's description and write it again.", ""]
    lines += ["cd [file dirname [file normalize [info script]]]", "namespace eval eie {"]
    lines += [f"    variable {name} {quote(value)}" for name, value in settings.items()]
    lines += [f"    variable vivado {quoted_list(release(board.vivado_version))}"]
    lines += [f"    variable sources {quoted_list(sources)}", "}", ""]
    lines += [_design_procedure(block_design(board)), "", FLOW.read_text(encoding="ascii"), "eie::run", ""]
    return "\n".join(lines)


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


def _open_object(values: dict[str, object]) -> str:
    return json.dumps(values, indent=2).rstrip("}").rstrip()


def _design_procedure(design: BlockDesign) -> str:
    calls = [_cell(cell) for cell in design.cells]
    calls += [command("eie::external", pin, vlnv) for pin, vlnv in design.external]
    calls += [command("eie::interface", master, slave) for master, slave in design.interfaces]
    calls += [f"{command('eie::net', driver)} {quoted_list(driven)}" for driver, driven in design.nets]
    calls += [
        command("eie::map", mapping.space, mapping.segment, f"0x{mapping.base:08X}", f"0x{mapping.size:08X}")
        for mapping in design.mappings
    ]
    calls += [command("eie::hide", space, segment) for space, segment in design.unreachable]
    return "\n".join(["proc eie::build_block_design {} {", *(f"    {call}" for call in calls), "}"])


def _cell(cell: Cell) -> str:
    parameters = quoted_list(word for item in cell.parameters for word in item)
    if cell.kind == CONCATENATION:
        return f"{command('eie::concatenation', cell.name)} {parameters}"
    return f"{command(f'eie::{cell.kind}', cell.name, cell.reference)} {parameters}"
