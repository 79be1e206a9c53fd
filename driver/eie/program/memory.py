"""What is free of the memories that models stay resident in."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.program.tiling import Tile


class Memory:
    """What is free of the memories that models stay resident in.

    Weights limit how much fits: codebooks and biases that find no room of their own travel with the inferences, to the
    upper parts of their memories, which all models share. One codebook slot is kept for that.

    Attributes
    ----------
    pairs : list of int
        Pointer pairs taken, of each bank.
    words : ndarray, shape (banks, N), intp
        Sparse-matrix words taken.
    slot, shared_slots : int
        The codebook slot that is free next, and the first of those that are shared.
    bias, shared_biases : int
        The same of the biases.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pairs = [0] * config.banks
        self.words = np.zeros((config.banks, config.num_pes), np.intp)
        self.slot, self.shared_slots = 0, config.codebooks - 1
        self.bias, self.shared_biases = 0, config.rows

    def copy(self) -> Memory:
        """Return an independent copy."""
        other = copy(self)
        other.pairs, other.words = list(self.pairs), self.words.copy()
        return other

    def place_codebooks(self, count: int) -> int:
        """Take slots for a model's codebooks, and return how many of them stay.

        Where several must travel, they alternate between all slots that are free: one loads while another is used.
        """
        if count > self.shared_slots - self.slot + 1:
            self.shared_slots = self.slot
        staying = min(count, self.shared_slots - self.slot)
        self.slot += staying
        return staying

    def place_biases(self, counts: Sequence[int]) -> tuple[list[int], bool]:
        """Take room for biases of so many local rows each; return their addresses, none if there is no room, and
        whether they stay there."""
        ends = list(itertools.accumulate(counts, initial=self.bias))
        if ends[-1] <= self.shared_biases:
            self.bias = ends[-1]
            return ends[:-1], True
        shared = self.config.rows - max(counts)
        if shared < self.bias:
            return [], False
        self.shared_biases = min(self.shared_biases, shared)
        return [shared] * len(counts), False

    def place_tile(self, tile: Tile) -> Place | None:
        """Take room for a tile in the first bank that has it, or return None."""
        for bank in range(self.config.banks):
            pair, words = self.pairs[bank], self.words[bank].copy()
            if (
                pair + tile.pairs <= self.config.pointer_pairs
                and ((words + tile.word_counts) <= self.config.entry_words).all()
            ):
                self.pairs[bank] += tile.pairs
                self.words[bank] += tile.word_counts
                return Place(bank, pair, words)
        return None


@dataclass(frozen=True)
class Place:
    bank: int
    pair: int
    words: NDArray[np.intp]
