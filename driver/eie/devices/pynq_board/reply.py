"""The memory that the DMA writes replies to, which shows how far one came that has no end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pynq.buffer import PynqBuffer

_UNTOUCHED = np.uint64(0x9E37_79B9_7F4A_7C15)
"""What the memory is filled with before a reply."""


class ReplyBuffer:
    """Contiguous memory that grows with the replies.

    Parameters
    ----------
    allocate : callable
        Returns a buffer of so many bytes.
    """

    def __init__(self, allocate: Callable[[int], PynqBuffer]) -> None:
        self._allocate = allocate
        self._buffer: PynqBuffer | None = None

    def fresh(self, nbytes: int) -> PynqBuffer:
        """Return memory for a reply of so many bytes that holds nothing but `_UNTOUCHED`, for the DMA too."""
        if self._buffer is None or self._buffer.nbytes < nbytes:
            self.free()  # also if there is no memory for a larger one
            self._buffer = self._allocate(nbytes)
        reply = self._buffer[:nbytes]
        np.asarray(reply).view(np.uint64)[:] = _UNTOUCHED
        # Also so that no line of it is written back over what the DMA writes.
        reply.flush()
        return reply

    def received(self, nbytes: int) -> NDArray[np.uint8]:
        """Return the first bytes, as a plain array of their own."""
        return np.zeros(0, np.uint8) if self._buffer is None else np.array(np.asarray(self._buffer)[:nbytes])

    def words_written(self, nbytes: int) -> int:
        """Return how many words of a reply of so many bytes the DMA has written."""
        if self._buffer is None:
            return 0
        reply = self._buffer[:nbytes]
        reply.invalidate()
        written = np.flatnonzero(np.asarray(reply).view(np.uint64) != _UNTOUCHED)
        return int(written[-1]) + 1 if len(written) else 0

    def free(self) -> None:
        """Give the memory back."""
        if self._buffer is not None:
            self._buffer.freebuffer()
        self._buffer = None
