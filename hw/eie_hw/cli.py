"""The `eie-hw` command."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from eie.config import ArrayConfig
from eie.errors import EieError


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="eie-hw", description="The hardware of EIE on PYNQ.")
    commands = parser.add_subparsers(dest="command", required=True)
    convert_parser = commands.add_parser("convert", help="write the array as VHDL and Verilog")
    add_config_options(convert_parser)
    convert_parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    convert_parser.add_argument("--hdl", choices=("VHDL", "Verilog", "both"), default="both")
    convert_parser.set_defaults(run=_convert)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except EieError as error:
        print(f"eie-hw: {error}", file=sys.stderr)
        return 1


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each array parameter."""
    group = parser.add_argument_group("array parameters")
    for field in fields(ArrayConfig):
        names = [f"--{field.name.replace('_', '-')}"]
        if field.name == "num_pes":
            names.append("--pes")
        if field.type == "bool":
            group.add_argument(*names, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            group.add_argument(*names, type=int, default=field.default, metavar="N", help=f"default {field.default}")


def config_of(options: argparse.Namespace) -> ArrayConfig:
    """Return the array that the options describe."""
    return ArrayConfig(**{field.name: getattr(options, field.name) for field in fields(ArrayConfig)})


def _convert(options: argparse.Namespace) -> int:
    from eie_hw.convert import HDLS, convert

    config = config_of(options)
    for hdl in HDLS if options.hdl == "both" else (options.hdl,):
        files = convert(config, options.output, hdl)
        print(f"{hdl}: {len(files)} files in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
