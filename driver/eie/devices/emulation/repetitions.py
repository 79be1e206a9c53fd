"""Repetitions in a transfer: one program again and again, with other activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa


@dataclass(frozen=True)
class Decoded:
    """An instruction of a transfer: its fields, and where its payload lies."""

    instruction: isa.Instruction
    values: dict[str, int]
    payload: slice


def count_repeats(words: NDArray[np.uint64], length: int, unit: list[Decoded], start: int) -> int:
    """Return how often the first `length` words come again right behind, but for the payload of ACTIVATIONS."""
    if len(words) < 2 * length or words[length] != words[0]:
        return 0
    blocks = words[: len(words) // length * length].reshape(-1, length)
    same = np.ones(len(blocks), bool)
    for fixed in _fixed_spans(length, unit, start):
        same &= (blocks[:, fixed] == blocks[0, fixed]).all(axis=1)
    return len(blocks) - 1 if same.all() else int(same.argmin()) - 1


def _fixed_spans(length: int, unit: list[Decoded], start: int) -> Iterator[slice]:
    """Yield where the words lie that are the same in every repetition: all but the payload of ACTIVATIONS."""
    begin = 0
    for decoded in unit:
        if decoded.instruction is isa.ACTIVATIONS:
            yield slice(begin, decoded.payload.start - start)
            begin = decoded.payload.stop - start
    yield slice(begin, length)
