"""`python -m eie_hw`, the same as the command `eie-hw`."""

from __future__ import annotations

import sys
from collections.abc import Callable

from eie.launch import run_program


def main() -> int:
    """Run the command `eie-hw` and return its exit code."""
    return run_program("eie-hw", _load)


def _load() -> Callable[[], int]:
    from eie_hw.cli import main

    return main


if __name__ == "__main__":
    sys.exit(main())
