"""A layer encoded once for an array with room for it, and timed for many queues and word widths.

The times are those of `eie.cycles` on that array; what `eie.cycles` repeats for every array, packing and emulation, is
left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.cycle_model.compute import ArrayTiming, Work
from eie.network.model import Layer, Model
from eie.paper.machines import roomy
from eie.program.sent_inputs import sent_inputs, with_inputs
from eie.program.tiling import tile_model


@dataclass(frozen=True)
class _Compute:
    """A tile's activations, shape (columns,), and the places of its columns in the entries, shape (N, columns + 1)."""

    activations: NDArray[np.int16]
    starts: NDArray[np.intp]
    address: int

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Entries of each PE's columns, shape (columns, N)."""
        return np.ascontiguousarray(np.diff(self.starts, axis=1).T, np.int32)


class LayerWork:
    """A layer and a vector of activations on an array with room for the layer.

    Parameters
    ----------
    layer : Layer
    activations : ndarray, shape (C,), int16
    config : ArrayConfig
        Its memories are made as deep as addresses reach (`eie.paper.machines.roomy`).

    Attributes
    ----------
    products : int
        Of non-zero weights and non-zero activations.
    entries : int
        That all PEs work off, padding included.
    """

    def __init__(self, layer: Layer, activations: NDArray[np.int16], config: ArrayConfig) -> None:
        self.config = roomy(config, layer)
        self.products = sum(int(np.diff(term.column_starts)[activations != 0].sum()) for term in layer.terms)
        sent = sent_inputs(layer, self.config)
        layer, activations = with_inputs(Model([layer]), sent).layers[0], activations[sent.start : sent.stop]
        lanes = self.config.lanes
        padded = np.zeros(-(-layer.columns // lanes) * lanes, np.int16)
        padded[: layer.columns] = activations
        self._computes = [
            _Compute(
                padded[tile.first_group * lanes : (tile.first_group + tile.groups) * lanes],
                tile.starts - tile.starts[:, :1],
                tile.first_group,
            )
            for row_tile in tile_model(Model([layer]), self.config).row_tiles[0]
            for tile in row_tile.tiles
        ]
        self.entries = sum(int(c.lengths[c.activations != 0].sum()) for c in self._computes)

    def cycles(self, queue_depth: int | None = None) -> int:
        """Return the cycles of all COMPUTEs, one behind another, with queues of the array's depth or another.

        No STORE comes between them, as in the paper; `eie.cycles` has those of row tiles.
        """
        config = replace(self.config, queue_depth=queue_depth or self.config.queue_depth)
        works = (Work(c.activations, c.lengths, c.address) for c in self._computes)
        return ArrayTiming(config).compute_alone(works)

    def load_balance(self, queue_depth: int | None = None) -> float:
        """Return theoretical over actual time: entries over PEs times cycles."""
        return self.entries / (self.config.num_pes * self.cycles(queue_depth))

    def slot_load_balance(self, queue_depth: int) -> float:
        """Return the load balance of a machine without latencies, whose queues keep a column until it is worked off.

        With a queue of depth 1 nothing is broadcast until the slowest PE has done with the column before.
        """
        total = sum(self._slot_cycles(c.lengths[c.activations != 0], queue_depth) for c in self._computes)
        return self.entries / (self.config.num_pes * total)

    def _slot_cycles(self, lengths: NDArray[np.int32], queue_depth: int) -> int:
        """Return when the last column, shape (broadcasts, N), is worked off."""
        steps = np.maximum(lengths, 0 if self.config.skip_empty else 1)
        # When each column is worked off, with `queue_depth` columns that never were in the way before them.
        done = np.zeros((len(steps) + queue_depth, self.config.num_pes), np.int64)
        now = 0
        for broadcast, step in enumerate(steps):
            now = max(now + 1, int(done[broadcast].max()))
            at = broadcast + queue_depth
            np.maximum(done[at - 1], now + 1, out=done[at])
            done[at] += step
        return int(done[-1].max())

    def word_reads(self, entries_per_word: int) -> int:
        """Return how often all PEs read a word of the sparse-matrix memory: a column reads those that it touches."""
        total = 0
        for compute in self._computes:
            active = compute.activations != 0
            first, end = compute.starts[:, :-1][:, active], compute.starts[:, 1:][:, active]
            words = (end - 1) // entries_per_word - first // entries_per_word + 1
            total += int(words[end > first].sum())
        return total
