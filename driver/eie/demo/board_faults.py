"""What `eie virtual-board` shows: the shipped network through the real pynq library, and a fault, without a board."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eie.data import mnist
from eie.devices.virtual.board import VirtualBoard
from eie.devices.virtual.faults import Fault
from eie.errors import DeviceError
from eie.runtime.accelerator import Accelerator

MODEL = mnist.DATA / "lenet-300-100.eie"

_CODE = """\
import eie
from eie.devices.virtual import VirtualBoard

with VirtualBoard("{name}") as board:
    acc = eie.Accelerator(board.bitfile)
    acc.load(r"{model}")
    y = acc.run(x, verify=True)
"""


def demonstrate(name: str = "pynq-z2", images: int = 100, tell: Callable[[str], None] = print) -> None:
    """Run MNIST test images on a virtual board, then one with a fault, and tell what happens.

    Parameters
    ----------
    name : str
        See `eie.boards.board.board_names`.
    images : int
        1 to 10,000.
    tell : callable
        Takes each line of text.

    Raises
    ------
    ConfigError
        If there is no such board.
    MissingExtraError
        If pynq is not installed.
    """
    digits = mnist.test_digits()
    x, labels = digits.inputs()[:images], digits.labels[:images]
    tell("Without a board; on one, there is no `with`, and the overlay is a file (docs/virtual-board.md):\n")
    for line in code_lines(name):
        tell(f"    {line}")
    with VirtualBoard(name) as board, Accelerator(board.bitfile) as accelerator:
        board_title, config = board.board.title, accelerator.config
        tell(f"\n{board_title}, {config.num_pes} PEs, overlay {board.bitfile.rpartition('/')[2]}, through pynq:")
        accelerator.load(MODEL)
        y = accelerator.run(x, verify=True)
        right = int(np.count_nonzero(y.argmax(axis=1) == labels))
        tell(f"  {right} of {len(x)} digits are right; every output equals the integer reference.")
        tell(f"  Host, {accelerator.times}")
        board.inject(Fault("slave_error", "send", word=100))
        try:
            accelerator.run(x)
        except DeviceError as error:
            tell(f"  With an injected fault: {error}.")
        y_again = accelerator.run(x)
        tell(f"  The next run recovers by itself: {'same' if np.array_equal(y, y_again) else 'other'} outputs.")


def code_lines(name: str) -> list[str]:
    """Return the program that the demonstration runs."""
    return _CODE.format(name=name, model=MODEL).splitlines()
