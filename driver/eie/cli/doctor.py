"""`eie doctor`: is everything there that a board needs, and does it work."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from eie.boards.board import board_names
from eie.cli.common import Commands, Progress, add_json_option, device_name, print_json, print_text
from eie.doctor.check import FAIL, Check
from eie.doctor.diagnose import diagnose


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "doctor",
        help="check the installation, the overlay and the board",
        description="Check Python and its packages, the overlay's files, the array behind them, a transfer both ways, "
        "and the shipped network against the integer reference; say what to do about each fault. Works off a board "
        "too. The exit code is 1 if something failed.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--overlay", metavar="EIE.bit", dest="device", type=device_name, help="overlay to load and check")
    what.add_argument("--device", metavar="NAME", type=device_name, help="device to check (default: the one at hand)")
    what.add_argument("--virtual-board", metavar="NAME", help=f"check a virtual board: {', '.join(board_names())}")
    add_json_option(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> int:
    with Progress() as progress:
        progress("checking")
        checks = diagnose(args.device or "auto", args.virtual_board)
    failed = any(check.status == FAIL for check in checks)
    if args.json:
        print_json({"healthy": not failed, "checks": [asdict(check) for check in checks]})
    else:
        print_text(_text(checks))
    return int(failed)


def _text(checks: list[Check]) -> str:
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:<8} {check.name:<{width}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':<8} {'':<{width}}  -> {check.remedy}")
    count = sum(check.status == FAIL for check in checks)
    return "\n".join([*lines, "", f"{count} of {len(checks)} checks failed" if count else "nothing is wrong"])
