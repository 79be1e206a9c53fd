"""Weights: resident, or streamed with every inference."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.network.model import Layer
from eie.program.assembler import Program
from eie.program.memory import Memory, Place
from eie.program.tiling import RowTile, Tile


@dataclass
class Resident:
    """Where the weights of a resident model lie."""

    memory: Memory
    places: dict[Tile, Place] = field(default_factory=dict)
    biases: dict[RowTile, int] = field(default_factory=dict)
    first_slot: int = 0
    slots: int = 0
    codebooks_loaded: bool = True
    biases_loaded: bool = True
    loads: list[NDArray[np.uint64]] = field(default_factory=list)

    def tile(self, program: Program, tile: Tile) -> Place:
        return self.places[tile]

    def bias(self, program: Program, layer: Layer, row_tile: RowTile) -> int:
        if not self.biases_loaded:
            program.load_biases(layer, row_tile, self.biases[row_tile], self.memory.config)
        return self.biases[row_tile]

    def slot(self, number: int) -> int:
        """Return where the codebook of this number, counted over the terms of all layers, lies or is to lie."""
        return self.first_slot + number % self.slots


def make_resident(
    layers: Sequence[Layer], config: ArrayConfig, row_tiles: tuple[tuple[RowTile, ...], ...], memory: Memory
) -> Resident | None:
    """Place a whole model in the free memory and write the program that loads it, or return None.

    Codebooks and biases that do not all fit share what is left and travel with the inferences: they are small.
    Several models may have their codebooks travel through the same slots.
    """
    resident = Resident(memory, first_slot=memory.slot)
    program = Program()
    for tile in (tile for layer in row_tiles for row_tile in layer for tile in row_tile.tiles):
        place = memory.place_tile(tile)
        if place is None:
            return None
        resident.places[tile] = place
        program.load_tile(tile, place)

    codebooks = sum(len(layer.terms) for layer in layers)
    resident.codebooks_loaded = memory.slot + codebooks <= memory.travelling
    resident.slots = codebooks if resident.codebooks_loaded else config.codebooks - memory.slot
    needed = [row_tile.local_rows for layer in row_tiles for row_tile in layer]
    resident.biases_loaded = memory.bias + sum(needed) <= config.rows
    if resident.slots == 0 or (not resident.biases_loaded and memory.bias + max(needed) > config.rows):
        return None
    numbers = itertools.count(memory.slot)
    for layer, tiles in zip(layers, row_tiles, strict=True):
        for term in layer.terms if resident.codebooks_loaded else ():
            program.emit(isa.CODEBOOK, term.codebook, slot=next(numbers))
        for row_tile in tiles:
            resident.biases[row_tile] = memory.bias
            if resident.biases_loaded:
                program.load_biases(layer, row_tile, memory.bias, config)
                memory.bias += row_tile.local_rows
    if not resident.biases_loaded:
        memory.bias += max(needed)
    if resident.codebooks_loaded:
        memory.slot += resident.slots
    else:
        memory.travelling = memory.slot
    resident.loads = program.parts
    return resident


class Streamed:
    """Weights that travel with every inference through alternating banks."""

    codebooks_loaded = False

    def __init__(self, config: ArrayConfig) -> None:
        self.memory = Memory(config)
        self.config = config
        self.count = 0

    def tile(self, program: Program, tile: Tile) -> Place:
        place = Place(self.count % self.config.banks, 0, np.zeros(self.config.num_pes, np.intp))
        self.count += 1
        program.load_tile(tile, place)
        return place

    def bias(self, program: Program, layer: Layer, row_tile: RowTile) -> int:
        program.load_biases(layer, row_tile, 0, self.config)
        return 0

    def slot(self, number: int) -> int:
        return number % self.config.codebooks
