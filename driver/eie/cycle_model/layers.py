"""How long a network takes on an array, and why: the cycle model over a packed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, require_type
from eie.contract import isa
from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import as_activations
from eie.errors import PackError
from eie.network.model import Layer, Model
from eie.network.reference import reference_layer
from eie.program.packets import instructions
from eie.program.packing import PackedModel, pack
from eie.program.segment import Segment, inferences_per_transfer

TIMING_ONLY = ("queue_depth", "skip_empty")
"""Parameters that change no byte of a packed model."""


@dataclass(frozen=True)
class LayerCycles:
    """What a layer costs, summed over a batch.

    Parameters
    ----------
    name : str
    cycles : int
        Clock cycles in which its COMPUTEs are in progress. Where several are, a cycle belongs to the one that came
        first: so the layers' cycles add up to those of the program.
    broadcasts : int
        Non-zero activations sent to the PEs; a layer of several row tiles sends each several times.
    useful : int
        Products of a non-zero weight and a non-zero activation.
    work, padding, starved, blocked : ndarray, shape (N,), int64
        Per PE, as the hardware counts them (`eie.contract.registers`). The layers' add up to the counters. `starved`
        is cycles - work - padding: where the inferences of a batch overlap, a PE that works on this layer in cycles of
        the layer before starves that much less in this one, down to below 0. One inference alone never does.
    queued : ndarray, shape (N,), int64
        Per PE, columns waiting in its queue, summed over the cycles.
    word_reads : ndarray, shape (N,), int64
        Per PE, words of the sparse-matrix memory that its columns lie in.
    pointer_reads : ndarray, shape (N,), int64
        Per PE, pointers looked up: two a broadcast.
    """

    name: str
    cycles: int
    broadcasts: int
    useful: int
    work: NDArray[np.int64]
    padding: NDArray[np.int64]
    starved: NDArray[np.int64]
    blocked: NDArray[np.int64]
    queued: NDArray[np.int64]
    word_reads: NDArray[np.int64]
    pointer_reads: NDArray[np.int64]

    @property
    def utilisation(self) -> float:
        """Useful multiply-accumulates over PEs times cycles; of layers that overlap, only their sum stays below 1."""
        return self.useful / (len(self.work) * self.cycles)

    @property
    def load_balance(self) -> float:
        """Entries, padding included, over PEs times cycles: theoretical over actual time (paper, section VI)."""
        return int(self.work.sum() + self.padding.sum()) / (len(self.work) * self.cycles)

    @property
    def queue_occupancy(self) -> NDArray[np.float64]:
        """Columns waiting in each PE's queue, on average over the cycles; shape (N,)."""
        return self.queued / self.cycles

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-serialisable values."""
        values = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(self).items()}
        return values | {"utilisation": self.utilisation, "load_balance": self.load_balance}


def cycles(
    model: Model | Layer | PackedModel, activations: ArrayLike, config: ArrayConfig | None = None
) -> tuple[LayerCycles, ...]:
    """Return what each layer costs on an array, cycle for cycle as its hardware counts.

    Times the packed program of the batch: inferences are interleaved as on the array, and what is streamed comes a
    stream word a cycle.

    Parameters
    ----------
    model : Model, Layer or PackedModel
        Packing takes far longer than the rest: for several inputs or queue depths, do it once (`eie.pack`).
    activations : array_like, shape (B, C) or (C,), int16
        Input of the model.
    config : ArrayConfig, optional
        Default: that of the packed model, otherwise ``ArrayConfig()``.

    Returns
    -------
    tuple of LayerCycles
        Cycles of COMPUTEs, summed over the batch. What passes before, between and after them is in `eie.estimate`.

    Raises
    ------
    PackError
        If a packed model does not fit `config`.
    """
    require_type(model, (Model, Layer, PackedModel), "model", "an eie.Model, eie.Layer or packed model", PackError)
    require_type(config, (ArrayConfig, type(None)), "config", "an eie.ArrayConfig", PackError)
    if not isinstance(model, PackedModel):
        model = pack(Model([model]) if isinstance(model, Layer) else model, config or ArrayConfig())
    return packed_cycles(model, layer_inputs(model.model, activations), config or model.config)


def layer_inputs(model: Model, activations: ArrayLike) -> tuple[NDArray[np.int16], ...]:
    """Return what each layer is given: int16, shape (B, C), for a model's input, shape (B, C) or (C,)."""
    batch = real_array(activations, "raw activations", PackError)
    inputs = [as_activations(batch[None] if batch.ndim == 1 else batch, model.columns)]
    for layer in model.layers[:-1]:
        inputs.append(reference_layer(layer, inputs[-1]))
    return tuple(inputs)


def packed_cycles(
    packed: PackedModel, inputs: Sequence[NDArray[np.int16]], config: ArrayConfig
) -> tuple[LayerCycles, ...]:
    """Return what each layer of a packed model costs, given the inputs of all layers (`layer_inputs`).

    Parameters
    ----------
    packed : PackedModel
    inputs : sequence of ndarray, int16, shape (B, C) of each layer
    config : ArrayConfig
        Differs from that of the packed model in `TIMING_ONLY` at most.
    """
    if replace(config, **{name: getattr(packed.config, name) for name in TIMING_ONLY}) != packed.config:
        raise PackError(f"the model is packed for {packed.config}; {config} differs in more than {TIMING_ONLY}")
    packed = packed.for_batch(len(inputs[0]))
    padded = [_in_places(packed, index, a) for index, a in enumerate(inputs)]
    costs = [_Cost(config.num_pes) for _ in inputs]
    for segment in packed.segments:
        batch = len(inputs[0])
        step = inferences_per_transfer(segment, batch)
        for first in range(0, batch, step):
            part = slice(first, min(first + step, batch))
            _time_transfer(packed, segment, [a[part] for a in padded], config, costs)
    return tuple(
        _layer_cycles(packed, i, a, padded[i], cost) for i, (a, cost) in enumerate(zip(inputs, costs, strict=True))
    )


class _Cost:
    """What the COMPUTEs of a layer add up to."""

    def __init__(self, num_pes: int) -> None:
        self.cycles = 0
        self.blocked, self.queued = np.zeros((2, num_pes), np.int64)


def _in_places(packed: PackedModel, index: int, activations: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return a layer's inputs as they lie in the activation memory, shape (B, lanes of whole groups)."""
    given = activations if index else activations[:, packed.inputs.start : packed.inputs.stop]
    columns, lanes = given.shape[1], packed.config.lanes
    a = np.zeros((len(given), -(-columns // lanes) * lanes), np.int16)
    a[:, packed.places[index - 1] if index and packed.places else slice(columns)] = given
    return a


def _time_transfer(
    packed: PackedModel, segment: Segment, inputs: list[NDArray[np.int16]], config: ArrayConfig, costs: list[_Cost]
) -> None:
    """Add what the COMPUTEs of a transfer take to the costs of their layers."""
    # Imported where they are used: they are slow to import where numba is installed.
    from eie.cycle_model.compute import Work
    from eie.cycle_model.program import ProgramTiming

    program = ProgramTiming(config)
    layers = []
    batch = len(inputs[0])
    tiles = {i: [tile for row_tile in packed.row_tiles[i] for tile in row_tile.tiles] for i in segment.layers}
    for first in range(0, batch, segment.inferences):
        unit = segment.units[min(segment.inferences, batch - first) - 1]
        inferences = range(first, first + unit.inferences)
        computes = (
            (index, inputs[index][inference], tile)
            for index in segment.layers
            for inference, tile in segment.in_turn(tiles[index], inferences)
        )
        index, vector, tile, group = 0, inputs[0][0], None, 0
        for instruction, values, payload_words in instructions(unit.words, config):
            if instruction is isa.COMPUTE:
                # Some COMPUTEs take a part of a tile only.
                if tile is None or group == tile.groups:
                    (index, vector, tile), group = next(computes), 0
                part = slice(group * config.lanes, (group + values["count"]) * config.lanes)
                columns = vector[tile.first_group * config.lanes :][part]
                program.execute(instruction, values, Work(columns, tile.lengths[part], values["address"]))
                group += values["count"]
                layers.append(index)
            elif payload_words:
                program.load(instruction, values, payload_words)
            else:
                program.execute(instruction, values)
    program.finish()
    timed = ((step.cycles, step.timing) for step in program.steps if step.timing is not None)
    for index, (cycles, timing) in zip(layers, timed, strict=True):
        costs[index].cycles += cycles
        costs[index].blocked += timing.blocked
        costs[index].queued += timing.queued


def _layer_cycles(
    packed: PackedModel, index: int, given: NDArray[np.int16], in_places: NDArray[np.int16], cost: _Cost
) -> LayerCycles:
    layer, lanes, num_pes = packed.model.layers[index], packed.config.lanes, packed.config.num_pes
    broadcasts = 0
    work, padding, word_reads = np.zeros((3, num_pes), np.int64)
    for row_tile in packed.row_tiles[index]:
        for tile in row_tile.tiles:
            part = in_places[:, tile.first_group * lanes : (tile.first_group + tile.groups) * lanes]
            active = np.count_nonzero(part, axis=0)
            broadcasts += int(active.sum())
            padded = active @ tile.padding
            padding += padded
            work += active @ tile.lengths - padded
            word_reads += active @ tile.word_reads()
    return LayerCycles(
        name=layer.name,
        cycles=cost.cycles,
        broadcasts=broadcasts,
        useful=sum(int(np.count_nonzero(given, axis=0) @ np.diff(term.column_starts)) for term in layer.terms),
        work=work,
        padding=padding,
        starved=cost.cycles - work - padding,
        blocked=cost.blocked,
        queued=cost.queued,
        word_reads=word_reads,
        pointer_reads=np.full(num_pes, 2 * broadcasts),
    )
