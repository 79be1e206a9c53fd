"""The instructions of a segment."""

from __future__ import annotations

import itertools

import numpy as np

from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.network.model import Layer, Model
from eie.program.assembler import Program
from eie.program.plan import SegmentPlan
from eie.program.segment import Input, Segment
from eie.program.tiling import RowTile, Tile
from eie.program.weights import Resident, Streamed


class Writer:
    """Writes the unit of a segment."""

    def __init__(
        self,
        model: Model,
        config: ArrayConfig,
        plan: SegmentPlan,
        row_tiles: tuple[tuple[RowTile, ...], ...],
        source: Resident | Streamed,
    ) -> None:
        self.model, self.config, self.plan, self.row_tiles, self.source = model, config, plan, row_tiles, source
        self.program = Program()
        self.inputs: list[Input] = []
        self.last_reads: list[int] = []
        self.columns = model.layers[plan.layers.start].columns
        # Alternating the input's place lets activations load while the inference before computes. Where weights
        # travel too, that is in the shade of their loading, and one inference makes a shorter unit.
        self.inferences = max(1, len(plan.places[0])) if isinstance(source, Resident) else 1
        self.inference = 0
        self.compute_addresses: list[list[int]] = [[] for _ in range(self.inferences)]
        self.chunks = 0
        self.codebooks = [[term.codebook for term in layer.terms] for layer in model.layers]
        self.first_codebook = list(itertools.accumulate(map(len, self.codebooks), initial=0))
        self.held: dict[int, int] = {}

    def segment(self) -> Segment:
        ends = []
        for inference in range(self.inferences):
            self.inference = inference
            self.write_inference()
            ends.append(self.program.length)
        rows = self.model.layers[self.plan.layers.stop - 1].rows
        return Segment(
            layers=self.plan.layers,
            unit=np.concatenate(self.program.parts),
            inferences=len(ends),
            columns=self.columns,
            rows=rows,
            output_words=-(-rows // self.config.lanes) * self.config.words_per_group,
            inputs=tuple(self.inputs),
            last_reads=tuple(self.last_reads),
            ends=tuple(ends),
            compute_addresses=tuple(map(tuple, self.compute_addresses)),
        )

    def write_inference(self) -> None:
        plan, layers = self.plan, self.model.layers
        self.held.clear()
        address = None
        if not plan.chunk:
            address = plan.places[0][self.inference]
            self.load_activations(address, 0, -(-self.columns // self.config.lanes))
        read = self.program.length
        for position, index in enumerate(plan.layers):
            target = plan.places[position + 1][0]
            self.codebook(index, 0)
            self.set_format(layers[index])
            for row_tile in self.row_tiles[index]:
                for tile in row_tile.tiles:
                    self.compute(tile, self.codebook(index, tile.term), address)
                local = 0 if plan.read_by_row_tile else row_tile.first_local_row
                output = target + local // self.config.rows_per_group
                self.store(layers[index], row_tile, output)
                if plan.read_by_row_tile:
                    read = self.read(output, row_tile.local_rows // self.config.rows_per_group)
            address = target
        if not plan.read_by_row_tile:
            rows = layers[plan.layers.stop - 1].rows
            read = self.read(plan.places[-1][0], -(-rows // self.config.lanes))
        self.last_reads.append(read)

    def codebook(self, index: int, term: int) -> int:
        """Return the slot of a term's codebook, loaded unless it is there."""
        number = self.first_codebook[index] + term
        slot = self.source.slot(number)
        if self.source.travels(number) and self.held.get(slot) != number:
            self.program.emit(isa.CODEBOOK, self.codebooks[index][term], slot=slot)
            self.held[slot] = number
        return slot

    def set_format(self, layer: Layer) -> None:
        """Tell how the STOREs of a layer make their outputs: the inference before may have told otherwise."""
        if layer.scaling is not None:
            self.program.set_format(layer.scaling)

    def load_activations(self, address: int, first_group: int, groups: int) -> None:
        config = self.config
        words = groups * config.words_per_group
        at = self.program.emit(isa.ACTIVATIONS, np.zeros(words, np.uint64), address=address, count=groups)
        first = first_group * config.lanes
        count = min(groups * config.lanes, self.columns - first)
        self.inputs.append(Input(at + 1, self.inference, first, count))

    def compute(self, tile: Tile, slot: int, address: int | None) -> None:
        place = self.source.tile(self.program, tile)
        if address is None:
            address = self.plan.chunk[self.chunks % len(self.plan.chunk)]
            self.chunks += 1
            self.load_activations(address, tile.first_group, tile.groups)
        else:
            address += tile.first_group
        self.compute_addresses[self.inference].append(address)
        self.program.emit(
            isa.COMPUTE, bank=place.bank, slot=slot, pointers=place.pair, address=address, count=tile.groups
        )

    def store(self, layer: Layer, row_tile: RowTile, address: int) -> None:
        bias = self.source.bias(self.program, layer, row_tile)
        self.program.emit(
            isa.STORE,
            relu=layer.relu,
            scaled=layer.scaling is not None,
            shift=layer.shift,
            bias=bias,
            address=address,
            count=row_tile.local_rows,
        )

    def read(self, address: int, groups: int) -> int:
        return self.program.emit(isa.READ, last=0, address=address, count=groups)
