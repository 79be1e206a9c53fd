"""Weights: resident, or streamed with every inference."""

from __future__ import annotations

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
    """Where the weights of a resident model lie.

    Of its codebooks (`Codebooks`), the first `staying` are loaded once; the others travel with the inferences, through
    slots that others' travel through, too.
    """

    memory: Memory
    places: dict[Tile, Place] = field(default_factory=dict)
    biases: dict[RowTile, int] = field(default_factory=dict)
    biases_loaded: bool = True
    first_slot: int = 0
    staying: int = 0
    loads: list[NDArray[np.uint64]] = field(default_factory=list)

    def tile(self, program: Program, tile: Tile) -> Place:
        return self.places[tile]

    def bias(self, program: Program, layer: Layer, row_tile: RowTile) -> int:
        if not self.biases_loaded:
            program.load_biases(layer, row_tile, self.biases[row_tile])
        return self.biases[row_tile]

    def slot(self, number: int) -> int:
        """Return where the codebook of this number lies or is to lie."""
        if not self.travels(number):
            return self.first_slot + number
        first = self.memory.shared_slots
        return first + (number - self.staying) % (self.memory.config.codebooks - first)

    def travels(self, number: int) -> bool:
        """Tell whether the codebook of this number travels with the inferences."""
        return number >= self.staying


class Codebooks:
    """The codebooks of all terms of some layers; those that are equal are one, with one number.

    Attributes
    ----------
    all : list of ndarray
        By number.
    numbers : list, per layer a list of int
        Of its terms.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        found = {term.codebook.tobytes(): term.codebook for layer in layers for term in layer.terms}
        number = {key: i for i, key in enumerate(found)}
        self.all = list(found.values())
        self.numbers = [[number[term.codebook.tobytes()] for term in layer.terms] for layer in layers]


def make_resident(
    layers: Sequence[Layer], config: ArrayConfig, row_tiles: tuple[tuple[RowTile, ...], ...], memory: Memory
) -> Resident | None:
    """Place a whole model in the free memory and write the program that loads it, or return None."""
    resident = place_weights(layers, row_tiles, memory)
    if resident is None:
        return None
    program = Program(config)
    for tile, place in resident.places.items():
        program.load_tile(tile, place)
    for number, codebook in enumerate(Codebooks(layers).all[: resident.staying]):
        program.emit(isa.CODEBOOK, codebook, slot=resident.slot(number))
    for layer, tiles in zip(layers, row_tiles, strict=True):
        for row_tile in tiles if resident.biases_loaded else ():
            program.load_biases(layer, row_tile, resident.biases[row_tile])
    resident.loads = program.parts
    return resident


def place_weights(
    layers: Sequence[Layer], row_tiles: tuple[tuple[RowTile, ...], ...], memory: Memory
) -> Resident | None:
    """Place a whole model in the free memory, or return None.

    Codebooks and biases that find no room of their own travel with the inferences: they are small.
    """
    first_slot, staying = memory.slot, memory.place_codebooks(len(Codebooks(layers).all))
    resident = Resident(memory, first_slot=first_slot, staying=staying)
    for tile in (tile for layer in row_tiles for row_tile in layer for tile in row_tile.tiles):
        place = memory.place_tile(tile)
        if place is None:
            return None
        resident.places[tile] = place
    ordered = [row_tile for layer in row_tiles for row_tile in layer]
    addresses, resident.biases_loaded = memory.place_biases([row_tile.local_rows for row_tile in ordered])
    if not addresses:
        return None
    resident.biases = dict(zip(ordered, addresses, strict=True))
    return resident


class Streamed:
    """Weights that travel with every inference through alternating banks."""

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
        program.load_biases(layer, row_tile, 0)
        return 0

    def slot(self, number: int) -> int:
        return number % self.config.codebooks

    def travels(self, number: int) -> bool:
        return True
