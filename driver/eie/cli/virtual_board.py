"""`eie virtual-board`: how to develop for a board without one."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from eie.boards.board import board_names
from eie.boards.pynq_versions import NEWEST, install_commands
from eie.cli.common import Commands
from eie.data.mnist import TEST_COUNT
from eie.demo.board_faults import code_lines, demonstrate
from eie.errors import NetworkError

_FAILURE = 2


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "virtual-board",
        help="show how to develop without a board",
        description="Run the shipped network through the real pynq library on a virtual board, show the code that does "
        "it, break the board once and recover. Where pynq is not installed, say how to install it.",
    )
    parser.add_argument(
        "--board", metavar="NAME", help=f"{', '.join(board_names())} (default: one that the installed pynq supports)"
    )
    parser.add_argument("--images", type=int, default=100, metavar="N", help="MNIST test images (default: 100)")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> int:
    if not 1 <= args.images <= TEST_COUNT:
        raise NetworkError(f"images is {args.images}; the test set has 1 to {TEST_COUNT:,}")
    if importlib.util.find_spec("pynq") is None:
        print("\n".join(_how_to_install(args.board or "pynq-z2")), file=sys.stderr)
        return _FAILURE
    from eie.devices.virtual.device import supported_board

    demonstrate(args.board or supported_board(), args.images)
    return 0


def _how_to_install(name: str) -> list[str]:
    """Return what to do where pynq is not installed."""
    lines = ["eie: error: the virtual board runs the real pynq library, which is not installed here. Off a board, in a"]
    lines += ["copy of this repository, on Linux (docs/virtual-board.md):", ""]
    lines += [f"    {command}" for command in install_commands()]
    lines += ["    pynq-environment/bin/eie virtual-board", ""]
    lines += [
        f"pynq {NEWEST['zynq']} serves all boards, {NEWEST['zynqmp']} the UltraScale+ boards. What runs then:",
        "",
    ]
    return lines + [f"    {line}" for line in code_lines(name)]
