"""A virtual board: the real pynq library, and so the driver and notebooks, without the board."""

from eie.devices.virtual.board import VirtualBoard
from eie.devices.virtual.faults import KINDS, Fault
from eie.devices.virtual.memory import VirtualBoardError

__all__ = ["KINDS", "Fault", "VirtualBoard", "VirtualBoardError"]
