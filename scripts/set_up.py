"""Sets up what the project's commands run in, and prints the path of its Python; the standard library alone.

    python3 scripts/set_up.py demo | test             .venv, with what the use needs
    python3 scripts/set_up.py pynq 3.1.2 [--hardware]  build/pynq-3.1.2: that release of pynq, and the package
    python3 scripts/set_up.py board 3.1.2              build/board-3.1.2: what a board's image has
    python3 scripts/set_up.py arm armhf | arm64        build/armhf: Debian's Python for that processor, simulated
    python3 scripts/set_up.py tools                    programs that the tests of the hardware need

A stamp says for which use, which dependencies and which place an environment was completed, so a half-made, outdated or
moved one is made anew, and one that fits costs nothing. Exit status 77: what is needed cannot be had on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import set_up_arm
import set_up_pynq
from debian_packages import NotAvailableError
from environments import ROOT, SetUpError, install_tools, say, set_up_environment

NOT_AVAILABLE = 77


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    uses = parser.add_subparsers(dest="use", required=True)
    for use in ("demo", "test", "tools"):
        uses.add_parser(use)
    pynq = uses.add_parser("pynq")
    pynq.add_argument("--hardware", action="store_true")
    for use in (pynq, uses.add_parser("board")):
        use.add_argument("version")
    uses.add_parser("arm").add_argument("architecture", choices=["armhf", "arm64"])
    arguments = parser.parse_args()
    try:
        print(set_up(arguments))
    except NotAvailableError as error:
        say(f"left out: {error}")
        return NOT_AVAILABLE
    except SetUpError as error:
        say(str(error))
        return 1
    return 0


def set_up(arguments: argparse.Namespace) -> Path | str:
    if arguments.use == "tools":
        return install_tools()
    with locked():
        if arguments.use == "pynq":
            return set_up_pynq.with_tests(arguments.version, arguments.hardware)
        if arguments.use == "board":
            return set_up_pynq.as_on_a_board(arguments.version)
        if arguments.use == "arm":
            return set_up_arm.simulated_python(arguments.architecture)
        return set_up_environment(arguments.use)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Let one set-up run at a time."""
    import fcntl

    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
