"""How long a network takes on an array, and why: the cycle model over a packed model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, require_type
from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import as_activations
from eie.errors import PackError
from eie.network.model import Layer, Model
from eie.network.reference import reference_layer
from eie.program.packing import PackedModel, pack
from eie.program.tiling import Tile

TIMING_ONLY = ("queue_depth", "skip_empty")
"""Parameters that change no byte of a packed model."""


@dataclass(frozen=True)
class LayerCycles:
    """What a layer costs, summed over a batch.

    Parameters
    ----------
    name : str
    cycles : int
        Clock cycles in which its COMPUTEs are in progress.
    broadcasts : int
        Non-zero activations sent to the PEs; a layer of several row tiles sends each several times.
    useful : int
        Products of a non-zero weight and a non-zero activation.
    work, padding, starved, blocked : ndarray, shape (N,), int64
        Per PE, as the hardware counts them (`eie.contract.registers`).
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
        """Useful multiply-accumulates over PEs times cycles."""
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
        Cycles of COMPUTEs, summed over the batch; loading that does not overlap with them is not in it.

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
    addresses = _compute_addresses(packed)
    return tuple(_layer_cycles(packed, i, a, addresses[i], config) for i, a in enumerate(inputs))


def _tiles(packed: PackedModel, index: int) -> Iterator[Tile]:
    return (tile for row_tile in packed.row_tiles[index] for tile in row_tile.tiles)


def _compute_addresses(packed: PackedModel) -> list[list[tuple[int, ...]]]:
    """Return, for each layer, where the COMPUTEs of a unit's inferences find their activations."""
    addresses: list[list[tuple[int, ...]]] = []
    for segment in packed.segments:
        first = 0
        for index in segment.layers:
            end = first + sum(1 for _ in _tiles(packed, index))
            addresses.append([of_inference[first:end] for of_inference in segment.compute_addresses])
            first = end
    return addresses


def _layer_cycles(
    packed: PackedModel,
    index: int,
    activations: NDArray[np.int16],
    addresses: list[tuple[int, ...]],
    config: ArrayConfig,
) -> LayerCycles:
    # Imported where it is used: it is slow to import where numba is installed.
    from eie.cycle_model.compute import compute_timing

    layer, lanes = packed.model.layers[index], config.lanes
    a = np.zeros((len(activations), -(-layer.columns // lanes) * lanes), np.int16)
    columns = packed.places[index - 1] if index and packed.places else slice(layer.columns)
    a[:, columns] = activations
    cycles = broadcasts = 0
    work, padding, blocked, queued, word_reads = (np.zeros(config.num_pes, np.int64) for _ in range(5))
    for number, tile in enumerate(_tiles(packed, index)):
        lengths = tile.lengths
        part = a[:, tile.first_group * lanes : (tile.first_group + tile.groups) * lanes]
        active = np.count_nonzero(part, axis=0)
        for inference, vector in enumerate(part):
            timing = compute_timing(vector, lengths, addresses[inference % len(addresses)][number], config)
            cycles += timing.cycles
            blocked += timing.blocked
            queued += timing.queued
        broadcasts += int(active.sum())
        padded = active @ tile.padding
        padding += padded
        work += active @ lengths - padded
        word_reads += active @ tile.word_reads()
    return LayerCycles(
        name=layer.name,
        cycles=cycles,
        broadcasts=broadcasts,
        useful=sum(int(np.count_nonzero(activations, axis=0) @ np.diff(term.column_starts)) for term in layer.terms),
        work=work,
        padding=padding,
        starved=cycles - work - padding,
        blocked=blocked,
        queued=queued,
        word_reads=word_reads,
        pointer_reads=np.full(config.num_pes, 2 * broadcasts),
    )
