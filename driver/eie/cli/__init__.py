"""The command `eie`; docs/cli.md shows what it does."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from eie.cli import (
    compress,
    demo,
    doctor,
    estimate,
    explore,
    field,
    info,
    inspect,
    pack,
    paper,
    run,
    verify,
    virtual_board,
)
from eie.errors import EieError
from eie.text import printable
from eie.version import __version__

_FAILURE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0; 1 if a command found something wrong with what it looked at; or
    2 with a line on stderr that says why it cannot be done."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could follow
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parser.parse_args(arguments)
    plain = warnings.formatwarning
    warnings.formatwarning = _warning
    try:
        status: int = args.command(args) or 0
        sys.stdout.flush()
    except EieError as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader of a pipe, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:
        return _fail(str(error) or "not enough memory")
    finally:
        warnings.formatwarning = plain
    return status


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning as a user of the command is to see it, without the place in the code that it comes from."""
    return f"eie: warning: {printable(' '.join(str(message).split()))}\n"


def _fail(text: str) -> int:
    print("eie: error:", printable(" ".join(text.split())), file=sys.stderr)
    return _FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="eie", description="Compress a network, and run it in compressed form on an EIE array."
    )
    parser.add_argument("--version", action="version", version=f"eie {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (
        compress,
        inspect,
        info,
        run,
        verify,
        pack,
        estimate,
        explore,
        demo,
        doctor,
        virtual_board,
        paper,
        field,
    ):
        module.add_parser(commands)
    return parser
