"""A virtual board: the real pynq library, and so the driver and notebooks, without the board."""

from eie.virtual.board import VirtualBoard
from eie.virtual.demonstration import demonstrate
from eie.virtual.faults import KINDS, Fault
from eie.virtual.memory import VirtualBoardError

__all__ = ["KINDS", "Fault", "VirtualBoard", "VirtualBoardError", "demonstrate"]
