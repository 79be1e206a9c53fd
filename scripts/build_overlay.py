#!/usr/bin/env python3
"""Build the overlay of a board: VHDL, Vivado script, and where there is a Vivado, .bit and .hwh (docs/overlay.md)."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from eie.boards.board import ARRAY_CELL, DMA_CELL, Board, board, board_names
from eie.boards.memory_port import memory_port, port_clock_mhz, port_has_own_clock, with_stream
from eie.contract.registers import build_hash
from eie.errors import EieError
from eie_hw.overlay.block_design import block_design
from eie_hw.overlay.build import RUNNER, SOURCES, Plan, build, prepare
from eie_hw.overlay.run_here import LOG, SCRIPT, archive_of
from eie_hw.overlay.script import BuildOptions
from eie_hw.overlay.vivado import check_version, find_vivado


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code: 0, or 1 with a line on stderr that says what is wrong."""
    options = _parser().parse_args(arguments)
    say = (lambda text: None) if options.json else (lambda text: print(text, flush=True))
    try:
        result = _run(options, say)
    except EieError as error:
        print(f"build_overlay.py: error: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(result, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", required=True, metavar="NAME", help=", ".join(board_names()))
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="default out/overlay-NAME")
    parser.add_argument("--vivado", metavar="PATH", help="Vivado's executable or directory; default: the one on PATH")
    parser.add_argument("--jobs", type=int, default=4, metavar="N", help="processes that Vivado may start; default 4")
    parser.add_argument("--pes", type=int, metavar="N", help="fewer or more PEs than the board's array")
    parser.add_argument(
        "--stream-bits", type=int, metavar="B", help="another width of the array's stream: 64, 128, 256"
    )
    parser.add_argument("--clock-mhz", type=float, metavar="F", help="another clock than the board's")
    parser.add_argument(
        "--slower", action="store_true", help="if the timing is missed, publish for the highest clock that meets it"
    )
    parser.add_argument(
        "--ila", action="store_true", help="with a logic analyser on streams, registers and the array's control unit"
    )
    parser.add_argument(
        "--module", action="store_true", help="the array as a module reference instead of an IP of the catalogue"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    parser.add_argument("--json", action="store_true", help="print plan and result as JSON")
    return parser


def _run(options: argparse.Namespace, say) -> dict[str, object]:
    described = board(options.board)
    if options.clock_mhz is not None:
        described = replace(described, clock_mhz=options.clock_mhz)
    if options.pes is not None:
        described = replace(described, config=replace(described.config, num_pes=options.pes))
    if options.stream_bits is not None:
        described = with_stream(described, options.stream_bits)
    block_design(described, analyser=options.ila)  # refuses a clock that there is not, an analyser without room
    vivado = find_vivado(options.vivado)
    directory = options.output or Path("out") / f"overlay-{described.name}"
    how = BuildOptions(options.jobs, not options.module, options.ila, options.slower)
    plan = Plan(described, directory, vivado, how)
    warning = vivado and check_version(vivado, described)
    for line in _plan_lines(plan):
        say(line)
    if warning:
        print(f"build_overlay.py: warning: {warning}", file=sys.stderr)
    result = {**plan.to_dict(), "warning": warning, "built": None}
    if options.dry_run:
        return result
    say("\nconverting, which takes a minute or more")
    files = prepare(plan)
    result["sources"] = [path.relative_to(plan.directory).as_posix() for path in files]
    say(f"written: {len(files)} VHDL files, {SCRIPT}, {RUNNER}")
    if vivado is None:
        say("There is no Vivado here, so there is no overlay yet.")
        say(f"Copy {plan.directory} to a machine with Vivado {described.vivado_version} or newer, and run there:")
        say(f"    python {plan.directory.name}/{RUNNER}")
        say(f"or, without a Python: cd {plan.directory.name}, vivado -mode batch -source {SCRIPT}")
        return result
    say(f"running Vivado, which can take an hour; its log is {plan.directory / LOG}")
    result["built"] = built = build(plan)
    slacks = f"setup slack {built['setup_slack_ns']} ns, hold slack {built['hold_slack_ns']} ns"
    say(f"timing is met at {built['clock_mhz']} MHz: {slacks}")
    say(f"reports and logs: {archive_of(plan.directory)}")
    say("built: " + ", ".join(str(path) for path in plan.results))
    return result


def _plan_lines(plan: Plan) -> list[str]:
    described = plan.board
    hash_text = f"0x{build_hash(described.config):08x}"
    vivado = f"{plan.vivado.version}, {plan.vivado.executable}" if plan.vivado else "none found"
    run = f"run Vivado: {SCRIPT}" if plan.vivado else "leave the directory for a machine with Vivado"
    return [
        f"board      {described.title}, {described.part}",
        f"array      {described.config.num_pes} PEs at {described.clock_mhz:g} MHz, build hash {hash_text}",
        f"registers  {DMA_CELL} at 0x{described.dma_address:08X}, {ARRAY_CELL} at 0x{described.array_address:08X}",
        f"memory     {described.memory_bytes >> 20} MiB at 0x{described.memory_base:08X}, "
        f"DMA of {described.config.stream_bits} bits, lengths of {described.dma_length_bits} bits{_port(described)}",
        f"Vivado     {vivado}; needed: {described.vivado_version} or newer",
        f"directory  {plan.directory}",
        "steps",
        f"  1  convert the array to VHDL: {SOURCES}/",
        f"  2  write {SCRIPT} (block design, synthesis, implementation, timing check, reports) and {RUNNER}",
        f"  3  {run}",
        f"results    {', '.join(path.name for path in plan.results)}, reports/",
    ]


def _port(described: Board) -> str:
    """Return what a plan says of a port to the memory that has a clock of its own."""
    if not port_has_own_clock(described):
        return ""
    port = memory_port(described)
    return f", {port.name} of {port.bits} bits at {port_clock_mhz(described):g} MHz"


if __name__ == "__main__":
    sys.exit(main())
