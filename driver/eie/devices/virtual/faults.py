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
    "truncate": "the packet ends (TLAST) with the word before, of which there must be one; the rest is lost",
    "lengthen": "the packet ends (TLAST) `amount` words late: the last word comes again",
    "flip": "bit `amount` of the word is inverted",
    "slave_error": "the memory answers SLVERR when the DMA comes to the word",
    "decode_error": "the memory answers DECERR when the DMA comes to the word",
    "internal_error": "the DMA finds an internal error at the word",
    "reset_dma": "the DMA is reset when it comes to the word",
    "reset_array": "the array is reset when the DMA comes to the word",
    "stuck_reset": "a reset of the DMA never ends",
}
_OF_THE_STREAM = ("stall", "truncate", "lengthen", "flip")
_OF_THE_MEMORY = ("slave_error", "decode_error", "internal_error", "reset_dma", "reset_array")


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

    def words_before(self, stream: str, first: int, count: int) -> int:
        """Return how many of `count` words from `first` come before the next fault of the DMA or its memory."""
        words = [fault.word for fault in self.pending if fault.kind in _OF_THE_MEMORY and fault.stream == stream]
        return min([word - first for word in words if first <= word < first + count], default=count)

    def take_at_memory(self, stream: str, word: int) -> Fault:
        """Take the fault of the DMA or its memory at a word, where `words_before` says that there is one."""
        found = next(f for f in self.pending if f.kind in _OF_THE_MEMORY and (f.stream, f.word) == (stream, word))
        self.pending.remove(found)
        return found

    def on_stream(
        self, stream: str, first: int, words: NDArray[np.uint64], last: bool
    ) -> tuple[NDArray[np.uint64], bool, bool]:
        """Return what becomes of words on their way: the words, whether the packet ends, whether the stream stalls.

        Parameters
        ----------
        stream : str
        first : int
            Position of the first word in its packet.
        words : ndarray, uint64
        last : bool
            Whether the packet ends with these words.
        """
        end = first + len(words)
        for fault in self.pending:
            if fault.stream == stream and _happens(fault, first, end, last):
                self.pending.remove(fault)
                return _strike(fault, first, words, last)
        return words, last, False

    def take_stuck_reset(self) -> bool:
        """Take the fault of a reset that does not end, if there is one."""
        fault = next((fault for fault in self.pending if fault.kind == "stuck_reset"), None)
        if fault:
            self.pending.remove(fault)
        return fault is not None


def _happens(fault: Fault, first: int, end: int, last: bool) -> bool:
    """Return whether a fault of the stream strikes words `first` to `end` of a packet, which may be its last."""
    if fault.kind == "truncate":
        # The word before it is the one that is marked as the last.
        return first < fault.word < end or (fault.word == end and not last)
    if fault.kind == "lengthen":
        return last and fault.word < end
    return fault.kind in _OF_THE_STREAM and first <= fault.word < end


def _strike(fault: Fault, first: int, words: NDArray[np.uint64], last: bool) -> tuple[NDArray[np.uint64], bool, bool]:
    at = fault.word - first
    if fault.kind == "stall":
        return words[:at], False, True
    if fault.kind == "truncate":
        return words[:at], True, False
    if fault.kind == "lengthen":
        return np.concatenate([words, words[-1:].repeat(fault.amount)]), last, False
    words = words.copy()
    words[at] ^= np.uint64(1 << fault.amount)
    return words, last, False
