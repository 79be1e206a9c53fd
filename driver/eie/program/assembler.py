"""Instructions in the making."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, PRE_SHIFTS, ArrayConfig
from eie.network.model import Layer
from eie.network.scaling import Scaling
from eie.program.memory import Place
from eie.program.tiling import RowTile, Tile


class Program:
    """Instructions in the making, for an array's stream."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.parts: list[NDArray[np.uint64]] = []
        self.length = 0

    def emit(self, instruction: isa.Instruction, payload: NDArray[Any] | None = None, **fields: int) -> int:
        """Append an instruction; return the offset of its header, which is a flit's first word."""
        at = self.length
        header = np.zeros(self.config.flit_words, np.uint64)
        header[0] = instruction.encode(**fields)
        self.append(header)
        if payload is not None:
            data = np.ascontiguousarray(payload).view(np.uint8).ravel()
            padded = np.zeros(-(-len(data) // self.config.flit_bytes) * self.config.flit_bytes, np.uint8)
            padded[: len(data)] = data
            self.append(padded.view(np.uint64))
        return at

    def append(self, words: NDArray[np.uint64]) -> None:
        self.parts.append(words)
        self.length += len(words)

    def set_format(self, scaling: Scaling) -> None:
        """Tell how the scaled STOREs that follow make their outputs."""
        low, high = np.array([scaling.low, scaling.high], np.int16).view(np.uint16).tolist()
        self.emit(isa.FORMAT, pre_shift=PRE_SHIFTS.index(scaling.pre_shift), low=low, high=high)

    def load_tile(self, tile: Tile, place: Place) -> None:
        pointers = {"bank": place.bank, "address": place.pair, "count": tile.pairs}
        if tile.by_lengths and not place.words.any():
            self.emit(isa.LENGTHS, tile.length_words(), **pointers)
        else:
            self.emit(isa.POINTERS, tile.pointer_beats(place.words), **pointers)
        together = self.config.flit_words
        beats = tile.entry_beats()
        end = 0
        for group, count in enumerate(tile.word_counts[::together].tolist()):
            if count:
                first, end = end, end + together * count
                pe = together * group
                address = int(place.words[pe])
                self.emit(isa.ENTRIES, beats[first:end], bank=place.bank, pe=pe, address=address, count=count)

    def load_biases(self, layer: Layer, row_tile: RowTile, address: int) -> None:
        """Load the biases of a row tile and, at the same address, its row scales if it has any."""
        count, config = row_tile.local_rows, self.config
        biases = _by_pe(layer.bias, row_tile, config, np.int32, 2 * config.pe_pairs)
        by_pair = biases.reshape(count, config.words_per_group, -1, 2)
        self.emit(isa.BIAS, by_pair.swapaxes(1, 2), address=address, count=count)
        if layer.scaling is not None:
            scales = _by_pe(layer.scaling.scale, row_tile, config, np.int16, config.scale_words * ACTIVATIONS_PER_WORD)
            by_cluster = scales.reshape(count, config.scale_memories, ACTIVATIONS_PER_WORD, -1)
            self.emit(isa.SCALE, by_cluster.transpose(0, 3, 1, 2), address=address, count=count)


def _by_pe(values: NDArray[Any], row_tile: RowTile, config: ArrayConfig, dtype: Any, width: int) -> NDArray[Any]:
    """Return the values of a row tile's rows as shape (local rows, width) by PE, zeros where there is no row or PE."""
    first, rows = row_tile.first_local_row * config.num_pes, row_tile.local_rows * config.num_pes
    part = values[first : first + rows]
    padded = np.zeros(rows, dtype)
    padded[: len(part)] = part
    table = np.zeros((row_tile.local_rows, width), dtype)
    table[:, : config.num_pes] = padded.reshape(row_tile.local_rows, config.num_pes)
    return table
