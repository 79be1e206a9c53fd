"""Instructions in the making."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import WORD_BYTES, ArrayConfig
from eie.network.model import Layer
from eie.program.memory import Place
from eie.program.tiling import RowTile, Tile


class Program:
    """Instructions in the making."""

    def __init__(self) -> None:
        self.parts: list[NDArray[np.uint64]] = []
        self.length = 0

    def emit(self, instruction: isa.Instruction, payload: NDArray[Any] | None = None, **fields: int) -> int:
        """Append an instruction; return the offset of its header."""
        at = self.length
        self.append(np.array([instruction.encode(**fields)], np.uint64))
        if payload is not None:
            data = np.ascontiguousarray(payload).view(np.uint8).ravel()
            padded = np.zeros(-(-len(data) // WORD_BYTES) * WORD_BYTES, np.uint8)
            padded[: len(data)] = data
            self.append(padded.view(np.uint64))
        return at

    def append(self, words: NDArray[np.uint64]) -> None:
        self.parts.append(words)
        self.length += len(words)

    def load_tile(self, tile: Tile, place: Place) -> None:
        self.emit(isa.POINTERS, tile.pointer_beats(place.words), bank=place.bank, address=place.pair, count=tile.pairs)
        beats = tile.entry_beats()
        end = 0
        for pe, count in enumerate(tile.word_counts.tolist()):
            if count:
                first, end = end, end + count
                address = int(place.words[pe])
                self.emit(isa.ENTRIES, beats[first:end], bank=place.bank, pe=pe, address=address, count=count)

    def load_biases(self, layer: Layer, row_tile: RowTile, address: int, config: ArrayConfig) -> None:
        biases = np.zeros((row_tile.local_rows, 2 * config.pe_pairs), np.int32)
        first = row_tile.first_local_row * config.num_pes
        values = layer.bias[first : first + row_tile.local_rows * config.num_pes]
        padded = np.zeros(row_tile.local_rows * config.num_pes, np.int32)
        padded[: len(values)] = values
        biases[:, : config.num_pes] = padded.reshape(row_tile.local_rows, config.num_pes)
        self.emit(isa.BIAS, biases, address=address, count=row_tile.local_rows)
