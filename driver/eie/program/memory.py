"""What is free of the memories that models stay resident in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.program.tiling import Tile


class Memory:
    """What is free of the memories that models stay resident in.

    Attributes
    ----------
    pairs, words
        Taken of the pointers and of the entries, by bank.
    slot, bias : int
        First codebook and first bias that no model keeps.
    travelling : int
        First of the codebooks that travel with inferences: those models share, each loads anew what it needs.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pairs = [0] * config.banks
        self.words = np.zeros((config.banks, config.num_pes), np.intp)
        self.slot = 0
        self.bias = 0
        self.travelling = config.codebooks

    def copy(self) -> Memory:
        """Return an independent copy."""
        other = Memory(self.config)
        other.pairs, other.words, other.slot, other.bias = list(self.pairs), self.words.copy(), self.slot, self.bias
        other.travelling = self.travelling
        return other

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
