"""Fast elaboration: MyHDL reads the source of every function on the call stack for every instance that it makes."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import myhdl._block
import myhdl._instance

_FRAMES = 6
"""MyHDL looks at no more than the callers of a block's caller."""


@contextmanager
def quick_elaboration() -> Iterator[None]:
    """Let MyHDL look at the frames that it needs, without their sources, while blocks are instantiated.

    Elaborating an array of 4 PEs takes a tenth of the time. The designs are the same.
    """
    modules = (myhdl._block, myhdl._instance)
    kept = [module.inspect for module in modules]
    for module in modules:
        module.inspect = SimpleNamespace(**{**vars(inspect), "stack": _short_stack})
    try:
        yield
    finally:
        for module, original in zip(modules, kept, strict=True):
            module.inspect = original


def _short_stack() -> list[tuple]:
    """Return the innermost records of `inspect.stack`: frame and, in fourth place, function name."""
    frame = sys._getframe(1)
    records = []
    while frame is not None and len(records) < _FRAMES:
        records.append((frame, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None, None))
        frame = frame.f_back
    return records
