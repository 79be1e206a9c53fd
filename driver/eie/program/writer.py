"""The instructions of a segment."""

from __future__ import annotations

import numpy as np

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.network.model import Layer, Model
from eie.program.assembler import Program
from eie.program.memory import Place
from eie.program.plan import Piece, SegmentPlan
from eie.program.segment import Input, Output, Segment, Unit
from eie.program.tiling import RowTile, Tile
from eie.program.weights import Codebooks, Resident, Streamed


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
        # Where weights travel too, what inferences do not share is in the shade of it.
        self.inferences = max(1, len(plan.places[0])) if isinstance(source, Resident) else plan.shared
        # An inference that others do not take turns with. Each row tile would walk over all pieces anew.
        self.in_pieces = self.inferences > 1 and len(row_tiles[plan.layers.start]) == 1
        self.codebooks = Codebooks(model.layers)

    def segment(self) -> Segment:
        units = tuple(self.unit(inferences) for inferences in range(1, self.inferences + 1))
        groups, words = self.output_size()
        return Segment(
            layers=self.plan.layers,
            units=units,
            columns=self.columns,
            rows=self.model.layers[self.plan.layers.stop - 1].rows,
            output_words=groups * (words or self.config.words_per_group),
            shared=self.plan.shared > 1,
        )

    def unit(self, inferences: int) -> Unit:
        """Write the unit of some inferences: layer by layer, and of each layer one inference after another.

        While the outputs of one are stored, the next one computes, with other accumulators where there are enough.
        Inferences that share weights take turns at each tile, each with accumulators of its own.
        """
        plan = self.plan
        self.pieces = plan.pieces if inferences == 1 and self.in_pieces else ()
        self.places = plan.places_alone if self.pieces else plan.places
        self.program = Program(self.config)
        self.inputs: list[Input] = []
        self.loaded: list[Piece] = []
        self.outputs: list[Output] = []
        self.chunks = self.turns = 0
        self.held: dict[int, int] = {}
        self.format: tuple[int, ...] | None = None
        read = 0
        everyone = range(inferences)
        for position, index in enumerate(plan.layers):
            for together in [everyone] if plan.shared > 1 else [range(i, i + 1) for i in everyone]:
                read = self.write_layer(position, index, together)
        if not plan.read_by_row_tile:
            groups, words = self.output_size()
            read = self.read(self.places[-1][0], inferences * groups, words)
        outputs = tuple(self.outputs) if plan.shared > 1 else ()
        return Unit(np.concatenate(self.program.parts), tuple(self.inputs), read, outputs)

    def write_layer(self, position: int, index: int, together: range) -> int:
        """Write a layer of inferences that share its tiles; return the offset of its last READ, if it has any."""
        plan, layer, config = self.plan, self.model.layers[index], self.config
        sources, targets = self.places[position : position + 2]
        for inference in together:
            if position == 0 and not plan.chunk and not self.pieces:
                self.load_activations(inference, _place(sources, inference), 0, -(-self.columns // config.lanes))
        self.codebook(index, 0)
        read = 0
        for row_tile in self.row_tiles[index]:
            parts = self.parts(row_tile, together)
            for tile in row_tile.tiles:
                place, slot = self.source.tile(self.program, tile), self.codebook(index, tile.term)
                if position == 0 and self.pieces:
                    self.compute_in_pieces(tile, place, slot, parts[0])
                    continue
                # All of them first: none waits for the COMPUTE before.
                addresses = [self.input(inference, tile, sources) for inference in together]
                for part, address in zip(parts, addresses, strict=True):
                    self.compute(place, slot, part, address, tile.groups)
            self.set_format(layer)
            bias = self.source.bias(self.program, layer, row_tile)
            groups = row_tile.local_rows // config.rows_per_group
            for inference, part in zip(together, parts, strict=True):
                if plan.read_by_row_tile:
                    output = (inference - together.start) * groups
                else:
                    output = _place(targets, inference) + row_tile.first_local_row // config.rows_per_group
                self.store(layer, row_tile, bias, part, output)
            if plan.read_by_row_tile:
                read = self.read(0, len(together) * groups, 0)
                first = row_tile.first_local_row * config.num_pes
                self.outputs += [Output(inference, first, groups * config.lanes) for inference in together]
        return read

    def parts(self, row_tile: RowTile, together: range) -> list[int]:
        """Choose the accumulators of each inference; of one, others than those of the row tile before, if the halves
        are large enough."""
        if self.plan.shared > 1:
            return [self.plan.shared + inference for inference in together]
        if 2 * row_tile.local_rows > self.config.rows:
            return [0]
        self.turns += 1
        return [2 + self.turns % 2]

    def codebook(self, index: int, term: int) -> int:
        """Return the slot of a term's codebook, loaded unless it is there."""
        number = self.codebooks.numbers[index][term]
        slot = self.source.slot(number)
        if self.source.travels(number) and self.held.get(slot) != number:
            self.program.emit(isa.CODEBOOK, self.codebooks.all[number], slot=slot)
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

    def load_activations(self, inference: int, address: int, first_group: int, groups: int) -> None:
        config = self.config
        words = groups * config.words_per_group
        at = self.program.emit(isa.ACTIVATIONS, np.zeros(words, np.uint64), address=address, count=groups)
        first = first_group * config.lanes
        count = min(groups * config.lanes, self.columns - first)
        self.inputs.append(Input(at + config.flit_words, inference, first, count))

    def input(self, inference: int, tile: Tile, sources: tuple[int, ...]) -> int:
        """Return where a tile's part of the input lies; of an input that comes in chunks, after loading it."""
        if not self.plan.chunk:
            return _place(sources, inference) + tile.first_group
        address = self.plan.chunk[self.chunks % len(self.plan.chunk)]
        self.chunks += 1
        self.load_activations(inference, address, tile.first_group, tile.groups)
        return address

    def compute_in_pieces(self, tile: Tile, place: Place, slot: int, part: int) -> None:
        """Compute with the pieces of the input of which a tile has columns, and load those that are not there yet."""
        for piece in self.pieces:
            first = max(tile.first_group, piece.first_group)
            end = min(tile.first_group + tile.groups, piece.first_group + piece.groups)
            if first < end:
                if piece not in self.loaded:
                    self.load_activations(0, piece.address, piece.first_group, piece.groups)
                    self.loaded.append(piece)
                address = piece.address + first - piece.first_group
                self.compute(place, slot, part, address, end - first, first - tile.first_group)

    def compute(self, place: Place, slot: int, part: int, address: int, groups: int, first: int = 0) -> None:
        """Compute with so many of a tile's groups, from the given one of it on."""
        pair = place.pair + first * self.config.lanes // 2
        self.program.emit(
            isa.COMPUTE, bank=place.bank, part=part, slot=slot, pointers=pair, address=address, count=groups
        )

    def store(self, layer: Layer, row_tile: RowTile, bias: int, part: int, address: int) -> None:
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


def _place(places: tuple[int, ...], inference: int) -> int:
    """Return where a tensor of an inference lies, given all its places."""
    return places[inference % len(places)]
