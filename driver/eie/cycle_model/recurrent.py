"""How fast an array runs a recurrent layer: cycles of a time step, gate by gate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.cycle_model.estimate import LayerEstimate
from eie.cycle_model.parts import TimedRun, layer_estimate
from eie.cycle_model.program import ProgramTiming
from eie.cycle_model.timed_device import TimedDevice
from eie.program.recurrent import PackedRecurrent

_CELL = "cell"
"""Name of all that is no gate: inputs, element-wise operations, outputs."""
_OF_CELL = (isa.ACTIVATIONS, isa.ELEMENTWISE, isa.READ)


def recurrent_run(packed: PackedRecurrent, device: TimedDevice, sequence: NDArray[np.int16]) -> dict[str, Any]:
    """Return the fields of an `Estimate` that runs of a sequence tell, int16, shape (T, C): a batch of time steps."""
    alone, together = _Run(device, packed), _Run(device, packed)
    alone.run(sequence[:1])
    together.run(sequence)
    return {
        **together.totals(),
        "latency_cycles": alone.cycles,
        "layers": _layers(packed, alone, together, len(sequence)),
        "unit": "time step",
    }


def _layers(packed: PackedRecurrent, alone: _Run, together: _Run, steps: int) -> tuple[LayerEstimate, ...]:
    found = []
    for i, group in enumerate(packed.together):
        layers = [packed.model.layers[gate] for gate in group.gates]
        name = ", ".join(layer.name or f"gate {gate}" for gate, layer in zip(group.gates, layers, strict=True))
        tiles = sum(len(row_tile.tiles) for row_tile in packed.row_tiles[group.first])
        shape = (sum(layer.rows for layer in layers), layers[0].columns)
        found.append(layer_estimate(name, shape, tiles, alone.parts[i], together.parts[i], steps))
    shape = (packed.model.hidden, len(packed.model.cell.vectors))
    return (*found, layer_estimate(_CELL, shape, 0, alone.parts[-1], together.parts[-1], steps))


class _Run(TimedRun):
    """A sequence on a timed device, in the transfers in which the driver sends it."""

    def __init__(self, device: TimedDevice, packed: PackedRecurrent) -> None:
        super().__init__(device, len(packed.together) + 1)
        self.packed = packed

    def run(self, sequence: NDArray[np.int16]) -> None:
        """Run a sequence that begins with states of 0."""
        states = self.packed.model.zero_states(1)
        for first in range(0, len(sequence), self.packed.most_steps):
            part = sequence[first : first + self.packed.most_steps]
            vectors = np.concatenate([states[:, :, self.packed.order].reshape(1, -1), part.reshape(1, -1)], axis=1)
            program, results = self.transfer(self.packed.segment(len(part)), vectors)
            self._share_out(program)
            states = results.reshape(1, -1, self.packed.model.hidden)[:, len(part) - 1 :]

    def _share_out(self, program: ProgramTiming) -> None:
        """Give gates their instructions up to their last STORE, and each instruction the cycles that it adds."""
        together = enumerate(self.packed.together)
        stores = [i for i, group in together for gate in group.gates for _ in self.packed.row_tiles[gate]]
        done = reached = 0
        for step in program.steps:
            part = self.parts[-1] if step.instruction in _OF_CELL else self.parts[stores[done % len(stores)]]
            part.add(step)
            done += step.instruction is isa.STORE
            part.cycles += max(0, step.end + 1 - reached)
            reached = max(reached, step.end + 1)
        self.parts[-1].cycles += program.finish() - reached
