"""The instructions of a segment."""

from __future__ import annotations

import itertools

import numpy as np

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.network.model import Layer, Model
from eie.program.assembler import Program
from eie.program.plan import SegmentPlan
from eie.program.segment import Input, Segment, Unit
from eie.program.tiling import RowTile, Tile
from eie.program.weights import Resident, Streamed


class Writer:
    """Writes the units of a segment."""

    def __init__(
        self,
        model: Model,
        config: ArrayConfig,
        plan: SegmentPlan,
        row_tiles: tuple[tuple[RowTile, ...], ...],
        source: Resident | Streamed,
    ) -> None:
        self.model, self.config, self.plan, self.row_tiles, self.source = model, config, plan, row_tiles, source
        self.columns = model.layers[plan.layers.start].columns
        # Where weights travel too, all else is in the shade of their loading, and one inference makes a shorter unit.
        self.inferences = max(1, len(plan.places[0])) if isinstance(source, Resident) else 1
        self.codebooks = [[term.codebook for term in layer.terms] for layer in model.layers]
        self.first_codebook = list(itertools.accumulate(map(len, self.codebooks), initial=0))

    def segment(self) -> Segment:
        units = tuple(self.unit(inferences) for inferences in range(1, self.inferences + 1))
        groups, words = self.output_size()
        return Segment(
            layers=self.plan.layers,
            units=units,
            columns=self.columns,
            rows=self.model.layers[self.plan.layers.stop - 1].rows,
            output_words=groups * (words or self.config.words_per_group),
        )

    def unit(self, inferences: int) -> Unit:
        """Write the unit of some inferences: layer by layer, and of each layer one inference after another.

        While the outputs of one are stored, the next one computes, with other accumulators where there are enough.
        """
        plan = self.plan
        self.program = Program()
        self.inputs: list[Input] = []
        self.chunks = self.turns = 0
        self.held: dict[int, int] = {}
        self.format: tuple[int, ...] | None = None
        read = 0
        for position, index in enumerate(plan.layers):
            for inference in range(inferences):
                self.inference = inference
                read = self.write_layer(position, index)
        if not plan.read_by_row_tile:
            groups, words = self.output_size()
            read = self.read(plan.places[-1][0], inferences * groups, words)
        return Unit(np.concatenate(self.program.parts), tuple(self.inputs), read)

    def write_layer(self, position: int, index: int) -> int:
        """Write a layer of an inference; return the offset of its last READ, if it has any."""
        plan, layer = self.plan, self.model.layers[index]
        # Of an input that comes in chunks, no place is the input's own.
        source, target = (self.place(places) for places in plan.places[position:][:2])
        if position == 0 and not plan.chunk:
            self.load_activations(source, 0, -(-self.columns // self.config.lanes))
        self.codebook(index, 0)
        read = 0
        for row_tile in self.row_tiles[index]:
            part = self.part(row_tile)
            for tile in row_tile.tiles:
                self.compute(tile, self.codebook(index, tile.term), part, source)
            local = 0 if plan.read_by_row_tile else row_tile.first_local_row
            output = target + local // self.config.rows_per_group
            self.set_format(layer)
            self.store(layer, row_tile, part, output)
            if plan.read_by_row_tile:
                read = self.read(output, row_tile.local_rows // self.config.rows_per_group, 0)
        return read

    def place(self, places: tuple[int, ...]) -> int:
        """Return where a tensor of the present inference lies, given all its places."""
        return places[self.inference % len(places)] if places else 0

    def part(self, row_tile: RowTile) -> int:
        """Choose accumulators other than those of the row tile before, if the halves are large enough."""
        if 2 * row_tile.local_rows > self.config.rows:
            return 0
        self.turns += 1
        return 2 + self.turns % 2

    def codebook(self, index: int, term: int) -> int:
        """Return the slot of a term's codebook, loaded unless it is there."""
        number = self.first_codebook[index] + term
        slot = self.source.slot(number)
        if self.source.travels(number) and self.held.get(slot) != number:
            self.program.emit(isa.CODEBOOK, self.codebooks[index][term], slot=slot)
            self.held[slot] = number
        return slot

    def set_format(self, layer: Layer) -> None:
        """Tell how the STOREs of a layer make their outputs, unless the last FORMAT of the unit did."""
        scaling = layer.scaling
        if scaling is None:
            return
        form = scaling.pre_shift, scaling.low, scaling.high
        if form != self.format:
            self.program.set_format(scaling)
            self.format = form

    def load_activations(self, address: int, first_group: int, groups: int) -> None:
        config = self.config
        words = groups * config.words_per_group
        at = self.program.emit(isa.ACTIVATIONS, np.zeros(words, np.uint64), address=address, count=groups)
        first = first_group * config.lanes
        count = min(groups * config.lanes, self.columns - first)
        self.inputs.append(Input(at + 1, self.inference, first, count))

    def compute(self, tile: Tile, slot: int, part: int, address: int) -> None:
        place = self.source.tile(self.program, tile)
        if self.plan.chunk:
            address = self.plan.chunk[self.chunks % len(self.plan.chunk)]
            self.chunks += 1
            self.load_activations(address, tile.first_group, tile.groups)
        else:
            address += tile.first_group
        self.program.emit(
            isa.COMPUTE, bank=place.bank, part=part, slot=slot, pointers=place.pair, address=address, count=tile.groups
        )

    def store(self, layer: Layer, row_tile: RowTile, part: int, address: int) -> None:
        bias = self.source.bias(self.program, layer, row_tile)
        self.program.emit(
            isa.STORE,
            relu=layer.relu,
            scaled=layer.scaling is not None,
            shift=layer.shift,
            bias=bias,
            part=part,
            address=address,
            count=row_tile.local_rows,
        )

    def read(self, address: int, groups: int, words: int) -> int:
        return self.program.emit(isa.READ, last=0, words=words, address=address, count=groups)

    def output_size(self) -> tuple[int, int]:
        """Return the activation groups of an inference's outputs, and how many words a READ sends of each; 0: all."""
        config, rows = self.config, self.model.layers[self.plan.layers.stop - 1].rows
        words = -(-rows // ACTIVATIONS_PER_WORD)
        few = words < config.words_per_group and not self.plan.read_by_row_tile
        return -(-rows // config.lanes), words if few else 0
