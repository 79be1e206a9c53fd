"""Reproduce the evaluation of the EIE paper; the same as `eie paper`, and with --docs it renews docs/paper.md.

    python scripts/paper.py                 tables to stdout, report, figures and data to out/paper
    python scripts/paper.py --docs          docs/paper.md, docs/paper.json and docs/figures/paper as well

Needs matplotlib (extra "plots"), and takes far longer without numba (extra "fast").
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from eie.cli import paper
from eie.errors import EieError
from eie.paper.docs import write_docs

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    paper.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--docs", action="store_true", help="renew the docs")
    parser.set_defaults(output=ROOT / "out/paper")
    args = parser.parse_args()
    if args.docs and (args.quick or args.seed != parser.get_default("seed")):
        parser.error("--docs goes with neither --quick nor another --seed: the docs are of the full evaluation")
    try:
        result = paper.run(args)
        if args.docs:
            write_docs(result, ROOT / "docs")
    except EieError as error:
        print(f"paper.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
