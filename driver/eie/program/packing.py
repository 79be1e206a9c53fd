"""From a model to the bytes that a device executes.

A model whose tiles fit the free part of the on-chip memories becomes resident: its weights are sent once, an
inference sends activations only. Otherwise its weights travel with every inference, tile by tile through
alternating banks, so that one loads while the other computes.

Layers follow one another on chip as long as a layer's input and output fit the activation memory together; where
they do not, the model is cut into segments between which activations pass through the host. A layer too large
even alone takes its input in chunks, or gives its output row tile by row tile.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ACTIVATIONS_PER_WORD, STREAM_BITS, ArrayConfig
from eie.network.model import Layer, Model
from eie.program.balancing import balance
from eie.program.tiling import RowTile, Tile, row_tile_sizes, tile_layer

_WORD_BYTES = STREAM_BITS // 8
_ACTIVATION_SEGMENTS = 8
"""Parts of the activation memory that the hardware tracks apart (docs/microarchitecture.md)."""


class Memory:
    """What is free of the memories that models stay resident in."""

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.pairs = [0] * config.banks
        self.words = np.zeros((config.banks, config.num_pes), np.int64)
        self.slot = 0
        self.bias = 0

    def copy(self) -> Memory:
        """Return an independent copy."""
        other = Memory(self.config)
        other.pairs, other.words, other.slot, other.bias = list(self.pairs), self.words.copy(), self.slot, self.bias
        return other

    def place_tile(self, tile: Tile) -> _Place | None:
        """Take room for a tile in the first bank that has it, or return None."""
        for bank in range(self.config.banks):
            pair, words = self.pairs[bank], self.words[bank].copy()
            if (
                pair + tile.pairs <= self.config.pointer_pairs
                and ((words + tile.word_counts) <= self.config.entry_words).all()
            ):
                self.pairs[bank] += tile.pairs
                self.words[bank] += tile.word_counts
                return _Place(bank, pair, words)
        return None


@dataclass(frozen=True)
class _Place:
    bank: int
    pair: int
    words: NDArray[np.int64]


@dataclass(frozen=True)
class _Input:
    """Where a part of an inference's activations goes in a segment's unit."""

    offset: int
    inference: int
    first: int
    count: int


@dataclass(frozen=True)
class Segment:
    """A run of layers computed on chip from activations to activations.

    Parameters
    ----------
    layers : range
        Indices of the model's layers.
    unit : ndarray, uint64
        The instructions of one or two inferences (two where inputs alternate between two places).
    inferences : int
        Inferences in a unit.
    columns, rows : int
        Activations in and out per inference.
    output_words : int
        Stream words that one inference returns.
    compute_addresses : tuple, per inference a tuple of int
        Activation group at which each COMPUTE begins, in the order of layers, row tiles and tiles.
    places : ndarray, shape (rows,), optional
        Place of each output among those that the array returns; default: its own.
    """

    layers: range
    unit: NDArray[np.uint64]
    inferences: int
    columns: int
    rows: int
    output_words: int
    inputs: tuple[_Input, ...]
    last_reads: tuple[int, ...]
    ends: tuple[int, ...]
    compute_addresses: tuple[tuple[int, ...], ...]
    places: NDArray[np.int64] | None = None

    def words(self, batch: int) -> int:
        """Stream words of a batch of inferences."""
        units, rest = divmod(batch, self.inferences)
        return units * len(self.unit) + (self.ends[rest - 1] if rest else 0)

    def fill(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write the program of a batch, int16 shape (B, columns), to `words` of `words(B)` elements."""
        self.write_program(len(activations), words)
        self.write_activations(activations, words)

    def write_program(self, batch: int, words: NDArray[np.uint64]) -> None:
        """Write what is the same for every batch of this size: all but the activations."""
        units, rest = divmod(batch, self.inferences)
        in_units = units * len(self.unit)
        words[:in_units].reshape(units, len(self.unit))[:] = self.unit
        words[in_units:] = self.unit[: len(words) - in_units]
        # The packet to the host ends with the last inference.
        last = self.last_reads[rest - 1] - (0 if rest else len(self.unit))
        words[in_units + last] |= np.uint64(isa.READ.field("last").mask)

    def write_activations(self, activations: NDArray[np.int16], words: NDArray[np.uint64]) -> None:
        """Write a batch's activations, int16 shape (B, columns), into the program that `write_program` wrote."""
        units, rest = divmod(len(activations), self.inferences)
        in_units = units * self.inferences
        values = words.view(np.int16)
        stride = len(self.unit) * ACTIVATIONS_PER_WORD
        whole, tail = values[: units * stride].reshape(units, stride), values[units * stride :]
        for part in self.inputs:
            columns = slice(part.first, part.first + part.count)
            start = part.offset * ACTIVATIONS_PER_WORD
            place = slice(start, start + part.count)
            whole[:, place] = activations[part.inference : in_units : self.inferences, columns]
            if part.inference < rest:
                tail[place] = activations[in_units + part.inference, columns]

    def unpack(self, received: NDArray[np.uint8], batch: int) -> NDArray[np.int16]:
        """Return the outputs of a batch, int16 shape (B, rows), from the bytes received."""
        outputs = received.view(np.int16).reshape(batch, -1)
        return outputs[:, : self.rows] if self.places is None else outputs.take(self.places, axis=1)


@dataclass(frozen=True, eq=False)
class PackedModel:
    """A model in the bytes of a device.

    Parameters
    ----------
    model : Model
    config : ArrayConfig
    weights : ndarray, uint64
        Program that makes the model resident; empty if its weights travel with every inference.
    segments : tuple of Segment
    resident : bool
    memory : Memory
        What is free once the model is loaded. A model that is not resident needs the array to itself.
    row_tiles : tuple, per layer a tuple of RowTile
    places : tuple, per layer ndarray, shape (R,)
        The row of the array that each row of the layer has become (`eie.program.balancing`); empty if it is its own.
    """

    model: Model
    config: ArrayConfig
    weights: NDArray[np.uint64]
    segments: tuple[Segment, ...]
    resident: bool
    memory: Memory
    row_tiles: tuple[tuple[RowTile, ...], ...]
    places: tuple[NDArray[np.int64], ...] = ()


def pack(model: Model, config: ArrayConfig, memory: Memory | None = None) -> PackedModel:
    """Pack a model for an array.

    Parameters
    ----------
    model : Model
    config : ArrayConfig
    memory : Memory, optional
        What other resident models leave free; default: everything.

    Returns
    -------
    PackedModel
    """
    plans = _plan_segments(model, config)
    places: tuple[NDArray[np.int64], ...] = ()
    ordered = model
    if config.balance_rows and config.num_pes > 1:
        sizes = [row_tile_sizes(model.layers[i].rows, config, p.max_local_rows) for p in plans for i in p.layers]
        ordered, places = balance(model, sizes, config.num_pes)
    row_tiles = tuple(
        tile_layer(ordered.layers[index], config, plan.max_local_rows, plan.max_groups)
        for plan in plans
        for index in plan.layers
    )
    resident = _make_resident(ordered, config, row_tiles, (memory or Memory(config)).copy())
    weights = np.concatenate(resident.loads) if resident else np.zeros(0, np.uint64)
    source = resident or _Streamed(config)
    segments = [_Writer(ordered, config, plan, row_tiles, source).segment() for plan in plans]
    if places:
        segments[-1] = replace(segments[-1], places=places[-1])
    return PackedModel(
        model,
        config,
        weights,
        tuple(segments),
        resident is not None,
        source.memory if resident else Memory(config),
        row_tiles,
        places,
    )


# Activation memory: which layers follow one another on chip, and where their activations lie.


@dataclass(frozen=True)
class _SegmentPlan:
    layers: range
    max_local_rows: int | None
    max_groups: int | None
    chunk: tuple[int, ...]
    """Addresses that chunks of the input alternate between; empty if the input lies in memory as a whole."""
    places: tuple[tuple[int, ...], ...]
    """Addresses of each tensor, input first: one, or one for each inference of a unit."""
    read_by_row_tile: bool = False


def _plan_segments(model: Model, config: ArrayConfig) -> list[_SegmentPlan]:
    sizes = [-(-n // config.lanes) for n in (model.columns, *(layer.rows for layer in model.layers))]
    room = config.activation_groups
    plans, first = [], 0
    while first < len(model.layers):
        if sizes[first] + sizes[first + 1] > room:
            plans.append(_plan_large_layer(first, sizes[first + 1], config))
            first += 1
            continue
        stop = first + 1
        while stop < len(model.layers) and sizes[stop] + sizes[stop + 1] <= room:
            stop += 1
        places = _place_tensors(sizes[first : stop + 1], room)
        plans.append(_SegmentPlan(range(first, stop), None, None, (), places))
        first = stop
    return plans


def _plan_large_layer(index: int, output: int, config: ArrayConfig) -> _SegmentPlan:
    """Plan a layer whose input and output do not fit together: chunks of input, and if need be of output."""
    room = config.activation_groups
    by_row_tile = output > room // 2
    if by_row_tile:
        output = min(room // 2, config.rows // config.rows_per_group)
    chunk = max(1, (room - output) // 2)
    chunks = (output, output + chunk) if output + 2 * chunk <= room else (output,)
    return _SegmentPlan(
        range(index, index + 1), output * config.rows_per_group, chunk, chunks, ((), (0,)), read_by_row_tile=by_row_tile
    )


def _place_tensors(sizes: list[int], room: int) -> tuple[tuple[int, ...], ...]:
    """Place a segment's tensors: apart, with two places for the input, if that fits; else at alternate ends."""
    part = max(1, room // _ACTIVATION_SEGMENTS)
    addresses, free = [], 0
    for size in (sizes[0], *sizes):
        addresses.append(free)
        free += -(-size // part) * part
    if free <= room:
        return ((addresses[0], addresses[1]), *((a,) for a in addresses[2:]))
    return tuple((0,) if i % 2 == 0 else (room - size,) for i, size in enumerate(sizes))


# Weights: resident, or streamed with every inference.


class _Program:
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
            padded = np.zeros(-(-len(data) // _WORD_BYTES) * _WORD_BYTES, np.uint8)
            padded[: len(data)] = data
            self.append(padded.view(np.uint64))
        return at

    def append(self, words: NDArray[np.uint64]) -> None:
        self.parts.append(words)
        self.length += len(words)

    def load_tile(self, tile: Tile, place: _Place) -> None:
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


@dataclass
class _Resident:
    """Where the weights of a resident model lie."""

    memory: Memory
    places: dict[int, _Place] = field(default_factory=dict)
    biases: dict[int, int] = field(default_factory=dict)
    first_slot: int = 0
    slots: int = 0
    codebooks_loaded: bool = True
    biases_loaded: bool = True
    loads: list[NDArray[np.uint64]] = field(default_factory=list)

    def tile(self, program: _Program, tile: Tile) -> _Place:
        return self.places[id(tile)]

    def bias(self, program: _Program, layer: Layer, row_tile: RowTile) -> int:
        if not self.biases_loaded:
            program.load_biases(layer, row_tile, self.biases[id(row_tile)], self.memory.config)
        return self.biases[id(row_tile)]

    def codebook(self, program: _Program, layer: Layer, index: int) -> int:
        slot = self.first_slot + index % self.slots
        if not self.codebooks_loaded:
            program.emit(isa.CODEBOOK, layer.codebook, slot=slot)
        return slot


def _make_resident(
    model: Model, config: ArrayConfig, row_tiles: tuple[tuple[RowTile, ...], ...], memory: Memory
) -> _Resident | None:
    """Place a whole model in the free memory and write the program that loads it, or return None.

    Codebooks and biases that do not all fit share what is left and travel with the inferences: they are small.
    """
    resident = _Resident(memory, first_slot=memory.slot)
    program = _Program()
    for tile in (tile for layer in row_tiles for row_tile in layer for tile in row_tile.tiles):
        place = memory.place_tile(tile)
        if place is None:
            return None
        resident.places[id(tile)] = place
        program.load_tile(tile, place)

    resident.slots = min(len(model.layers), config.codebooks - memory.slot)
    resident.codebooks_loaded = resident.slots == len(model.layers)
    needed = [row_tile.local_rows for layer in row_tiles for row_tile in layer]
    resident.biases_loaded = memory.bias + sum(needed) <= config.rows
    if resident.slots == 0 or (not resident.biases_loaded and memory.bias + max(needed) > config.rows):
        return None
    for index, (layer, tiles) in enumerate(zip(model.layers, row_tiles, strict=True)):
        if resident.codebooks_loaded:
            program.emit(isa.CODEBOOK, layer.codebook, slot=memory.slot + index)
        for row_tile in tiles:
            resident.biases[id(row_tile)] = memory.bias
            if resident.biases_loaded:
                program.load_biases(layer, row_tile, memory.bias, config)
                memory.bias += row_tile.local_rows
    if not resident.biases_loaded:
        memory.bias += max(needed)
    memory.slot += resident.slots
    resident.loads = program.parts
    return resident


class _Streamed:
    """Weights that travel with every inference through alternating banks."""

    def __init__(self, config: ArrayConfig) -> None:
        self.memory = Memory(config)
        self.config = config
        self.count = 0

    def tile(self, program: _Program, tile: Tile) -> _Place:
        place = _Place(self.count % self.config.banks, 0, np.zeros(self.config.num_pes, np.int64))
        self.count += 1
        program.load_tile(tile, place)
        return place

    def bias(self, program: _Program, layer: Layer, row_tile: RowTile) -> int:
        program.load_biases(layer, row_tile, 0, self.config)
        return 0

    def codebook(self, program: _Program, layer: Layer, index: int) -> int:
        slot = index % self.config.codebooks
        program.emit(isa.CODEBOOK, layer.codebook, slot=slot)
        return slot


class _Writer:
    """Writes the unit of a segment."""

    def __init__(
        self,
        model: Model,
        config: ArrayConfig,
        plan: _SegmentPlan,
        row_tiles: tuple[tuple[RowTile, ...], ...],
        source: _Resident | _Streamed,
    ) -> None:
        self.model, self.config, self.plan, self.row_tiles, self.source = model, config, plan, row_tiles, source
        self.program = _Program()
        self.inputs: list[_Input] = []
        self.last_reads: list[int] = []
        self.columns = model.layers[plan.layers.start].columns
        # Alternating the input's place lets activations load while the inference before computes. Where weights
        # travel too, that is in the shade of their loading, and one inference makes a shorter unit.
        self.inferences = max(1, len(plan.places[0])) if isinstance(source, _Resident) else 1
        self.inference = 0
        self.compute_addresses: list[list[int]] = [[] for _ in range(self.inferences)]
        self.chunks = 0

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
        address = None
        if not plan.chunk:
            address = plan.places[0][self.inference]
            self.load_activations(address, 0, -(-self.columns // self.config.lanes))
        read = self.program.length
        for position, index in enumerate(plan.layers):
            target = plan.places[position + 1][0]
            slot = self.source.codebook(self.program, layers[index], index)
            for row_tile in self.row_tiles[index]:
                for tile in row_tile.tiles:
                    self.compute(tile, slot, address)
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

    def load_activations(self, address: int, first_group: int, groups: int) -> None:
        config = self.config
        words = groups * config.words_per_group
        at = self.program.emit(isa.ACTIVATIONS, np.zeros(words, np.uint64), address=address, count=groups)
        first = first_group * config.lanes
        count = min(groups * config.lanes, self.columns - first)
        self.inputs.append(_Input(at + 1, self.inference, first, count))

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
            isa.STORE, relu=layer.relu, shift=layer.shift, bias=bias, address=address, count=row_tile.local_rows
        )

    def read(self, address: int, groups: int) -> int:
        return self.program.emit(isa.READ, last=0, address=address, count=groups)
