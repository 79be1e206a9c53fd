"""A device on a virtual board of its own, for programs that do not open the board themselves."""

from __future__ import annotations

from importlib import metadata

from eie.boards.board import board
from eie.devices.pynq_board.device import PynqDevice
from eie.devices.virtual.board import VirtualBoard

_ZYNQ_7000, _ULTRASCALE = "pynq-z2", "zcu104"

_DEADLINE_SECONDS = 60.0
"""The virtual array needs more time than a real one."""


class VirtualBoardDevice(PynqDevice):
    """`eie.PynqDevice` on a virtual board, which is pynq's active device until `close`.

    Parameters
    ----------
    name : str, optional
        See `eie.boards.board.board_names`; by default a board that the installed pynq supports.
    deadline : float
        Longest wait for a transfer, in seconds.
    """

    def __init__(self, name: str | None = None, *, deadline: float = _DEADLINE_SECONDS) -> None:
        self.virtual_board = VirtualBoard(name or supported_board())
        self.virtual_board.__enter__()
        try:
            super().__init__(self.virtual_board.bitfile, deadline=deadline)
        except BaseException:
            self.virtual_board.__exit__(None, None, None)
            raise

    def close(self) -> None:
        """Free all buffers and give pynq back the device that was active before."""
        super().close()
        self.virtual_board.__exit__(None, None, None)


def supported_board() -> str:
    """Return the name of a board that the installed pynq supports: pynq 4 no longer has the Zynq-7000."""
    major = metadata.version("pynq").partition(".")[0]
    is_supported = any(version.partition(".")[0] == major for version in board(_ZYNQ_7000).pynq_versions)
    return _ZYNQ_7000 if is_supported else _ULTRASCALE
