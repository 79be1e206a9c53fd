"""Repetitions in a transfer: one program again and again, with other activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa

_LAST = np.uint64(isa.READ.field("last").mask)


@dataclass(frozen=True)
class Decoded:
    """An instruction of a transfer: its fields, and where its payload lies."""

    instruction: isa.Instruction
    values: dict[str, int]
    payload: slice


@dataclass(frozen=True, eq=False)
class Unit:
    """Instructions that may come again and again; the last is a READ that does not end a packet.

    Parameters
    ----------
    words : ndarray, uint64
    instructions : tuple of Decoded
        Their payloads are slices of `words`.
    """

    words: NDArray[np.uint64]
    instructions: tuple[Decoded, ...]

    @classmethod
    def copied(cls, words: NDArray[np.uint64], instructions: list[Decoded], start: int) -> Unit:
        """Return the unit of instructions that lie in a transfer from `start` on, up to the end of `words`."""
        moved = (
            Decoded(d.instruction, d.values, slice(d.payload.start - start, d.payload.stop - start))
            for d in instructions
        )
        return cls(words[start:].copy(), tuple(moved))

    def count(self, words: NDArray[np.uint64]) -> tuple[int, bool]:
        """Return how often the unit stands at the begin of `words`, the payload of ACTIVATIONS aside.

        The last READ of the last time may end the packet to the host; the second result tells whether it does.
        """
        length = len(self.words)
        if len(words) < length or words[0] != self.words[0]:
            return 0, False
        blocks = words[: len(words) // length * length].reshape(-1, length)
        same = np.ones(len(blocks), bool)
        for fixed in self._fixed:
            same &= (blocks[:, fixed] == self.words[fixed]).all(axis=1)
        ending = blocks[:, -1] == (self.words[-1] | _LAST)
        goes_on = same & (blocks[:, -1] == self.words[-1])
        repeats = len(blocks) if goes_on.all() else int(goes_on.argmin())
        ends = bool(repeats < len(blocks) and same[repeats] and ending[repeats])
        return repeats + ends, ends

    @cached_property
    def _fixed(self) -> list[slice]:
        return list(_fixed_spans(self.instructions, len(self.words) - 1))


def _fixed_spans(instructions: tuple[Decoded, ...], end: int) -> Iterator[slice]:
    """Yield where the words up to `end` lie that are the same in every repetition: all but ACTIVATIONS' payload."""
    begin = 0
    for decoded in instructions:
        if decoded.instruction is isa.ACTIVATIONS:
            yield slice(begin, decoded.payload.start)
            begin = decoded.payload.stop
    yield slice(begin, end)
