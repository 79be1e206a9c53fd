"""Faults of a board, to see what a driver makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eie.errors import ConfigError

SEND, RECEIVE = "send", "receive"
"""The two streams: from memory to the array, and back."""

KINDS = {
    "stall": "the stream stops before the word, until the array is reset",
    "truncate": "the packet ends (TLAST) with the word before; the rest is lost",
    "lengthen": "the packet ends (TLAST) `amount` words late",
    "flip": "bit `amount` of the word is inverted",
    "slave_error": "the memory answers SLVERR when the DMA comes to the word",
    "decode_error": "the memory answers DECERR when the DMA comes to the word",
    "internal_error": "the DMA finds an internal error at the word",
    "reset_dma": "the DMA is reset when it comes to the word",
    "reset_array": "the array is reset when the DMA comes to the word",
    "stuck_reset": "a reset of the DMA never ends",
}
_OF_THE_STREAM = ("stall", "truncate", "lengthen", "flip")


@dataclass(frozen=True)
class Fault:
    """A fault.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    stream : {"send", "receive"}
    word : int
        Word of the next packet at which it happens, from 0.
    amount : int
        See `KINDS`.
    """

    kind: str
    stream: str = SEND
    word: int = 0
    amount: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"there is no fault {self.kind!r}; the faults are {', '.join(KINDS)}")
        if self.stream not in (SEND, RECEIVE):
            raise ConfigError(f"there is no stream {self.stream!r}; the streams are {SEND} and {RECEIVE}")


@dataclass
class Faults:
    """The faults that are still to happen, each once."""

    pending: list[Fault] = field(default_factory=list)

    def inject(self, fault: Fault) -> None:
        """Let a fault happen when its word next comes."""
        self.pending.append(fault)

    def take_at_memory(self, stream: str, first: int, count: int) -> Fault | None:
        """Take the fault of the DMA or its memory within `count` words from `first`, if there is one."""
        return self._take(stream, first, count, stream_fault=False)

    def on_stream(
        self, stream: str, first: int, words: NDArray[np.uint64], last: bool
    ) -> tuple[NDArray[np.uint64], bool, str]:
        """Return what becomes of words on their way: words, whether the packet ends, and "stall" or "truncate" if so.

        Parameters
        ----------
        stream : str
        first : int
            Position of the first word in its packet.
        words : ndarray, uint64
        last : bool
            Whether the packet ends with these words.
        """
        fault = self._take(stream, first, len(words), stream_fault=True)
        if fault is None:
            return words, last, ""
        at = fault.word - first
        if fault.kind == "stall":
            return words[:at], False, "stall"
        if fault.kind == "truncate":
            return words[:at], True, "truncate"
        words = words.copy()
        if fault.kind == "flip":
            words[at] ^= np.uint64(1 << fault.amount)
        else:
            words = np.concatenate([words, words[-1:].repeat(fault.amount)])
        return words, last, ""

    def take_stuck_reset(self) -> bool:
        """Take the fault of a reset that does not end, if there is one."""
        return any(self.pending.pop(i) for i, fault in enumerate(self.pending) if fault.kind == "stuck_reset")

    def _take(self, stream: str, first: int, count: int, stream_fault: bool) -> Fault | None:
        for i, fault in enumerate(self.pending):
            place = fault.kind != "stuck_reset" and (fault.kind in _OF_THE_STREAM) == stream_fault
            if place and fault.stream == stream and first <= fault.word < first + count:
                return self.pending.pop(i)
        return None
