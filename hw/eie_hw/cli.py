"""The `eie-hw` command."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from eie.contract.array_options import add_array_options, array_config
from eie.contract.config import ArrayConfig
from eie.errors import EieError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="eie-hw", description="The hardware of EIE on PYNQ.")
    commands = parser.add_subparsers(dest="command", required=True)
    convert_parser = commands.add_parser("convert", help="write the array as VHDL and Verilog")
    convert_parser.add_argument(
        "--board", metavar="NAME", help="the array of a board; parameters given besides it replace its own"
    )
    add_array_options(convert_parser)
    convert_parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    convert_parser.add_argument("--hdl", choices=("VHDL", "Verilog", "both"), default="both")
    convert_parser.set_defaults(run=_convert)
    _add_resources(commands)
    _add_timing(commands)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (EieError, OSError) as error:
        print(f"eie-hw: {error}", file=sys.stderr)
        return 1


def _convert(options: argparse.Namespace) -> int:
    from eie.boards.board import board
    from eie_hw.conversion.convert import HDLS, convert

    config = array_config(options, board(options.board).config if options.board else None)
    for hdl in HDLS if options.hdl == "both" else (options.hdl,):
        files = convert(config, options.output, hdl)
        print(f"{hdl}: {len(files)} files in {options.output}")
    return 0


def _add_resources(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("resources", help="estimate what the array uses of a device; exit code 1 over budget")
    array = parser.add_mutually_exclusive_group(required=True)
    array.add_argument("--board", metavar="NAME", help="the array of a board, against its device and the budget")
    array.add_argument("--pes", type=int, metavar="N", help="the default array with N PEs, against no limit")
    _add_stream(parser)
    parser.add_argument(
        "--hdl", choices=("VHDL", "Verilog"), default="VHDL", help="what to synthesise; VHDL needs ghdl"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", type=Path, metavar="FILE", help="write the page to a file")
    parser.set_defaults(run=_resources)


def _add_stream(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stream-bits", type=int, metavar="B", help="another width of the stream: 64, 128 or 256")


def _with_stream(
    options: argparse.Namespace, config: ArrayConfig, title: str, choice: str
) -> tuple[ArrayConfig, str, str]:
    """Return an array, its title and the options that chose it, with the width of stream that is asked for."""
    if options.stream_bits is None:
        return config, title, choice
    bits = options.stream_bits
    return replace(config, stream_bits=bits), f"{title}, stream of {bits} bits", f"{choice} --stream-bits {bits}"


def _resources(options: argparse.Namespace) -> int:
    from eie.boards.board import board
    from eie.boards.fpga import device_of
    from eie_hw.estimates.utilisation import (
        BESIDES,
        exceeded_limits,
        exceeded_units,
        load_budget,
        total,
        utilisation,
    )
    from eie_hw.estimates.utilisation_report import as_json, as_markdown

    budget = load_budget()
    if options.board:
        on = board(options.board)
        config, device, title, choice = on.config, device_of(on.part), on.title, f"--board {on.name}"
    else:
        config, device = ArrayConfig(num_pes=options.pes), None
        title, choice = f"{options.pes} PEs", f"--pes {options.pes}"
    config, title, choice = _with_stream(options, config, title, choice)
    has_budget = config == board(budget["board"]).config
    with tempfile.TemporaryDirectory(prefix="eie-resources-") as scratch:
        units = utilisation(config, scratch, hdl=options.hdl, family=device.family if device else "xc7")
    exceeded = exceeded_limits(total(units) + BESIDES, device.limits, device.name) if device else []
    if has_budget:
        exceeded += exceeded_limits(total(units), budget["total"], "the budget") + exceeded_units(units, budget)
    if options.json:
        print(json.dumps(as_json(units, device, exceeded), indent=2))
    else:
        command = f"eie-hw resources {choice}" + (f" --markdown {options.markdown}" if options.markdown else "")
        page = as_markdown(units, title, command, device, budget["total"] if has_budget else None)
        _print_page(page, options.markdown)
    for sentence in exceeded:
        print(f"eie-hw: over budget: {sentence}", file=sys.stderr)
    return 1 if exceeded else 0


def _add_timing(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("timing", help="static timing of the synthesised array; exit code 1 above a limit")
    array = parser.add_mutually_exclusive_group(required=True)
    array.add_argument("--board", metavar="NAME", help="the array of a board")
    array.add_argument("--pes", type=int, metavar="N", help="the default array with N PEs")
    _add_stream(parser)
    parser.add_argument("--paths", type=int, default=10, metavar="N", help="longest paths to show, default 10")
    parser.add_argument("--limit", type=float, metavar="NS", help="exit code 1 if a path with medium wires is longer")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", type=Path, metavar="FILE", help="write the page to a file")
    parser.set_defaults(run=_timing)


def _timing(options: argparse.Namespace) -> int:
    from eie.boards.board import board
    from eie_hw.conversion.convert import TOP, convert
    from eie_hw.estimates.static_timing import WIRES, analyse
    from eie_hw.estimates.synthesis import flat_netlist
    from eie_hw.estimates.timing_report import as_json, as_markdown

    if options.board:
        config = board(options.board).config
        title, choice = f"{board(options.board).title}, {config.num_pes} PEs", f"--board {options.board}"
    else:
        config, title, choice = ArrayConfig(num_pes=options.pes), f"{options.pes} PEs", f"--pes {options.pes}"
    config, title, choice = _with_stream(options, config, title, choice)
    with tempfile.TemporaryDirectory(prefix="eie-timing-") as scratch:
        # On 7-series, which have no UltraRAM.
        netlist = flat_netlist(convert(replace(config, ultra_ram=False), scratch, target="xc7"), TOP)
    timings = [analyse(netlist, wires, options.paths) for wires in WIRES]
    if options.json:
        print(json.dumps(as_json(timings, title), indent=2))
    else:
        command = f"eie-hw timing {choice}" + (f" --markdown {options.markdown}" if options.markdown else "")
        _print_page(as_markdown(timings, title, command), options.markdown)
    longest = timings[len(timings) // 2].longest_ns
    if options.limit is not None and longest > options.limit:
        print(f"eie-hw: the longest path takes {longest:.2f} ns, the limit is {options.limit:g}", file=sys.stderr)
        return 1
    return 0


def _print_page(page: str, file: Path | None) -> None:
    """Write a page to a file, whole or not at all, or print it."""
    if file is None:
        print(page)
        return
    part = file.with_name(file.name + ".part")
    part.write_text(page, encoding="utf-8")
    os.replace(part, file)
