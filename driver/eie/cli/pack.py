"""`eie pack`: models in the words of an array, for the C runtime."""

from __future__ import annotations

import argparse
from pathlib import Path

from eie.atomic import require_output
from eie.boards.board import board, board_names
from eie.cli.common import Commands, Progress, add_json_option, bytes_text, print_json, print_text
from eie.contract.array_options import add_array_options, array_config
from eie.contract.registers import build_hash
from eie.errors import PackError
from eie.model_file.container import load_chain
from eie.program.packed_file import write_packed

ENDING = ".eiep"


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "pack",
        help="pack models for the C runtime",
        description="Pack models for the array of a board, as one file that the C runtime (driver/c) loads: weights, "
        "programs and where activations go. Models stay on the array together as far as they fit.",
    )
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="model files")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help=f"default: the first model's, {ENDING}")
    parser.add_argument(
        "--board", metavar="NAME", default="pynq-z2", help=f"{', '.join(board_names())} (default: pynq-z2)"
    )
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    output = args.output or args.files[0].with_suffix(ENDING)
    require_output(output, *args.files, endings=(ENDING,))
    config = array_config(args, board(args.board).config)
    with Progress() as progress:
        models = []
        for file in args.files:
            progress(f"loading {file}")
            models.append(load_chain(file))
        names = [model.name for model in models]
        if len(set(names)) != len(names):
            raise PackError(
                f"models are called {', '.join(names)}; the C runtime finds them by name: give them different ones"
            )
        progress(f"packing for {config.num_pes} PEs")
        stays = dict(zip(names, write_packed(output, models, config), strict=True))
    size, build = output.stat().st_size, build_hash(config)
    if args.json:
        print_json({"file": output, "bytes": size, "models": names, "stays": stays, "build_hash": build})
        return
    staying, others = ([name for name in names if stays[name] is there] for there in (True, False))
    parts = [f"on the array together: {', '.join(staying)}"] if staying else []
    parts += [f"sent when they run: {', '.join(others)}"] if others else []
    print_text(f"{output}: {bytes_text(size)} for build 0x{build:08x}; {'; '.join(parts)}")
