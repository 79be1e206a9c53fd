"""`eie field`: this project's figures beside what others have published."""

from __future__ import annotations

import argparse
from pathlib import Path

from eie.atomic import replacing, require_output
from eie.cli.common import Commands, Progress, add_json_option, print_json, print_text
from eie.field.comparison import compute, markdown, to_dict


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "field",
        help="compare with what others have published",
        description="Compute rate, latency, resources and bound of typical networks on three boards, simulated, beside "
        "the published figures of other engines with their sources.",
    )
    parser.add_argument("-o", "--output", metavar="FILE.md", type=Path, help="write the page (default: print it)")
    add_json_option(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    if args.output:
        require_output(args.output, endings=(".md",))
    with Progress() as progress:
        rows = compute(progress)
    if args.output:
        with replacing(args.output) as partial:
            partial.write_text(markdown(rows), encoding="utf-8")
    if args.json:
        print_json(to_dict(rows))
    elif args.output:
        print_text(f"{args.output}: {len(rows)} rows of ours, simulated")
    else:
        print_text(markdown(rows))
