"""How a program starts and ends: Ctrl-C, from its first import to its end, is one line and exit code 130; whatever it
prints goes through."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

_INTERRUPTED = 128 + signal.SIGINT


def run_program(name: str, load: Callable[[], Callable[[], int]]) -> int:
    """Run a program and return its exit code.

    Parameters
    ----------
    name : str
        What its messages begin with.
    load : callable
        Imports the program's main function and returns it.
    """

    def leave(*_: Any) -> None:
        os.write(2, f"{name}: interrupted\n".encode())
        os._exit(_INTERRUPTED)

    # Otherwise the signal is ignored, as of a job in the background, and stays so.
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def on_interrupt(handler: Any) -> None:
        if heeded:
            signal.signal(signal.SIGINT, handler)

    # An exception could be raised anywhere in the imports, and some libraries would take it for another; yet there is
    # nothing to put in order. Nor is there once the program is done.
    on_interrupt(leave)
    _ready_streams()
    main = load()
    try:
        on_interrupt(signal.default_int_handler)
        return main()
    except KeyboardInterrupt:
        on_interrupt(leave)
        os.write(2, f"{name}: interrupted\n".encode())
        return _INTERRUPTED
    finally:
        on_interrupt(leave)


def _ready_streams() -> None:
    """Print nowhere if a stream is closed, and escaped what its encoding lacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the program's end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
