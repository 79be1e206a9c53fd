"""A recurrent layer in the bytes of a device: sequences with their states, without the host in between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.errors import PackError
from eie.network.cells import Apply, Gate
from eie.network.model import Layer
from eie.network.recurrent_model import RecurrentModel
from eie.program.assembler import Program
from eie.program.balancing import assign_rows, reorder_layer
from eie.program.gates import GatesTogether, gates_together, rows_of_tiles, tile_gates
from eie.program.memory import Memory
from eie.program.segment import Input, Segment, Unit
from eie.program.tiling import RowTile
from eie.program.weights import Codebooks, Resident, Streamed, make_resident

_MOST_WORDS = 1 << 20
"""Words of a unit of several time steps; longer sequences are cut, and states pass through the host there."""


@dataclass(frozen=True, eq=False)
class PackedRecurrent:
    """A recurrent model in the bytes of a device.

    Parameters
    ----------
    model : RecurrentModel
    config : ArrayConfig
    weights : ndarray, uint64
        Program that makes the model resident; empty if its weights travel with every time step.
    resident : bool
    memory : Memory
        What is free once the model is loaded.
    layers : tuple of Layer
        The gates with rows and columns as the array has them.
    row_tiles : tuple, per layer a tuple of RowTile
        Gates that are multiplied together have as many, and their tiles are the first one's.
    together : tuple of GatesTogether
    order : ndarray, shape (H,), intp
        The row at each place: the same for all gates and states, which meet element by element.
    """

    model: RecurrentModel
    config: ArrayConfig
    weights: NDArray[np.uint64]
    resident: bool
    memory: Memory
    layers: tuple[Layer, ...]
    row_tiles: tuple[tuple[RowTile, ...], ...]
    together: tuple[GatesTogether, ...]
    order: NDArray[np.intp]
    source: Resident | None = None
    _segments: dict[int, Segment] = field(default_factory=dict)

    def segment(self, steps: int) -> Segment:
        """Return the program of sequences of so many time steps: in go states, then inputs; out come all hidden states,
        then the other states."""
        if steps not in self._segments:
            self._segments[steps] = _Writer(self, steps).segment()
        return self._segments[steps]

    @property
    def most_steps(self) -> int:
        """Time steps that one unit may have."""
        return max(1, _MOST_WORDS // len(self.segment(1).unit))


def pack_recurrent(model: RecurrentModel, config: ArrayConfig, memory: Memory | None = None) -> PackedRecurrent:
    """Pack a recurrent model for an array.

    Raises
    ------
    PackError
        If its vectors do not fit the activation memory together.
    """
    needed = _groups_of_all(model, config)
    if needed > config.activation_groups:
        raise PackError(
            f"model {model.name!r}: the vectors of a time step take {needed * config.lanes} activations on the array, "
            f"which has {config.activations}; build it with more activations, or run the layer as part of a graph, "
            "gate by gate"
        )
    together = gates_together(model.layers, model.cell.gates, config)
    order = np.arange(model.hidden)
    if config.balance_rows and config.num_pes > 1:
        counts = np.sum([np.bincount(layer.row_indices, minlength=layer.rows) for layer in model.layers], axis=0)
        order = assign_rows(counts, rows_of_tiles(model.hidden, together, config), config.num_pes)
    layers = tuple(
        _reordered(layer, gate, model, order, config)
        for layer, gate in zip(model.layers, model.cell.gates, strict=True)
    )
    together, row_tiles = tile_gates(layers, together, config)
    resident = make_resident(layers, config, row_tiles, (memory or Memory(config)).copy())
    return PackedRecurrent(
        model,
        config,
        np.concatenate(resident.loads) if resident else np.zeros(0, np.uint64),
        resident is not None,
        resident.memory if resident else Memory(config),
        layers,
        row_tiles,
        together,
        order,
        resident,
    )


def fits_at_once(model: RecurrentModel, config: ArrayConfig) -> bool:
    """Tell whether an array holds the vectors of a time step together."""
    return _groups_of_all(model, config) <= config.activation_groups


def _groups_of_all(model: RecurrentModel, config: ArrayConfig) -> int:
    return sum(_groups(model.size(vector), config) for vector in model.cell.vectors)


def _groups(size: int, config: ArrayConfig) -> int:
    return -(-size // config.lanes)


def _reordered(layer: Layer, gate: Gate, model: RecurrentModel, order: NDArray[np.intp], config: ArrayConfig) -> Layer:
    """Return a gate whose operands each begin with a group of their own, states in the order of the places."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    where, columns = [], 0
    for operand in gate.operands:
        where.append(columns + (np.arange(model.columns) if operand == "x" else place))
        columns += _groups(model.size(operand), config) * config.lanes
    source = np.full(columns, layer.columns)  # no column, but where one comes
    source[np.concatenate(where)] = np.arange(layer.columns)
    return reorder_layer(layer, source, place, order)


class _Writer:
    """Writes the unit of a sequence."""

    def __init__(self, packed: PackedRecurrent, steps: int) -> None:
        self.packed, self.model, self.config, self.steps = packed, packed.model, packed.config, steps
        self.source: Resident | Streamed = packed.source or Streamed(packed.config)
        self.program = Program(self.config)
        self.inputs: list[Input] = []
        self.address: dict[str, int] = {}
        self.held: dict[int, int] = {}
        self.codebooks = Codebooks(packed.layers)
        self.groups = {vector: _groups(self.model.size(vector), self.config) for vector in self.model.cell.vectors}
        free = 0
        for vector, groups in self.groups.items():
            self.address[vector] = free
            free += groups

    def segment(self) -> Segment:
        model, states = self.model, tuple(self.model.cell.states)
        given = 0
        for state in states:
            self.load(state, given)
            given += model.hidden
        for _ in range(self.steps):
            self.load("x", given)
            given += model.columns
            self.time_step()
            last = self.read(states[0])
        for state in states[1:]:
            last = self.read(state)
        reads = self.steps + len(states) - 1
        padded = self.groups["h"] * self.config.lanes
        place = np.empty_like(self.packed.order)
        place[self.packed.order] = np.arange(model.hidden)
        return Segment(
            layers=range(len(model.layers)),
            units=(Unit(np.concatenate(self.program.parts), tuple(self.inputs), last),),
            columns=given,
            rows=reads * model.hidden,
            output_words=reads * self.groups["h"] * self.config.words_per_group,
            places=(np.arange(reads)[:, None] * padded + place).ravel(),
        )

    def time_step(self) -> None:
        gates, together = itertools.count(), {group.first: group for group in self.packed.together}
        waiting: dict[str, int] = {}
        for step in self.model.cell.steps:
            if isinstance(step, Gate):
                group = together.get(next(gates))
                if group is not None:
                    self.apply(waiting)
                    self.multiply(group)
            else:
                waiting = self.join(waiting, step)
        self.apply(waiting)

    def join(self, waiting: dict[str, int], step: Apply) -> dict[str, int]:
        """Add an operation to the one before if that goes on where it ends, else write the one before."""
        fields = {
            "operation": int(step.operation),
            "shift": step.shift,
            "source": self.address[step.source],
            "address": self.address[step.target],
            "count": self.groups[step.target],
        }
        if waiting:
            following = {name: waiting[name] + waiting["count"] for name in ("source", "address")}
            if fields == {**waiting, **following, "count": fields["count"]} and waiting["source"] == waiting["address"]:
                return {**waiting, "count": waiting["count"] + fields["count"]}
        self.apply(waiting)
        return fields

    def apply(self, waiting: dict[str, int]) -> None:
        if waiting:
            self.program.emit(isa.ELEMENTWISE, None, **waiting)
            waiting.clear()

    def multiply(self, group: GatesTogether) -> None:
        operands = self.model.cell.gates[group.first].operands
        for number, row_tile in enumerate(self.packed.row_tiles[group.first]):
            for tile in row_tile.tiles:
                place = self.source.tile(self.program, tile)
                slot = self.codebook(group.first, tile.term)
                address = self.address[operands[0]] + tile.first_group
                self.program.emit(
                    isa.COMPUTE, bank=place.bank, part=0, slot=slot, pointers=place.pair, address=address,
                    count=tile.groups,
                )  # fmt: skip
            for gate in group.gates:
                self.store(gate, group.part(gate), self.packed.row_tiles[gate][number])

    def store(self, gate: int, part: int, row_tile: RowTile) -> None:
        layer, target = self.packed.layers[gate], self.model.cell.gates[gate].target
        if layer.scaling is not None:
            self.program.set_format(layer.scaling)
        self.program.emit(
            isa.STORE,
            relu=0,
            scaled=layer.scaling is not None,
            shift=layer.shift,
            bias=self.source.bias(self.program, layer, row_tile),
            part=part,
            address=self.address[target] + row_tile.first_local_row // self.config.rows_per_group,
            count=row_tile.local_rows,
        )

    def codebook(self, gate: int, term: int) -> int:
        """Return the slot of a term's codebook, loaded unless it is there."""
        number = self.codebooks.numbers[gate][term]
        slot = self.source.slot(number)
        if self.source.travels(number) and self.held.get(slot) != number:
            self.program.emit(isa.CODEBOOK, self.codebooks.all[number], slot=slot)
            self.held[slot] = number
        return slot

    def load(self, vector: str, first: int) -> None:
        words = np.zeros(self.groups[vector] * self.config.words_per_group, np.uint64)
        at = self.program.emit(isa.ACTIVATIONS, words, address=self.address[vector], count=self.groups[vector])
        self.inputs.append(Input(at + self.config.flit_words, 0, first, self.model.size(vector)))

    def read(self, vector: str) -> int:
        return self.program.emit(isa.READ, last=0, words=0, address=self.address[vector], count=self.groups[vector])
