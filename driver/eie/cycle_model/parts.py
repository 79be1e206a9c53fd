"""What the instructions of a layer add up to, what bounds it, and what transfers take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa
from eie.contract.config import WORD_BYTES
from eie.contract.starvation import Starvation
from eie.cycle_model.estimate import LayerEstimate
from eie.cycle_model.program import ProgramTiming, Step, flit_cycles
from eie.cycle_model.timed_device import TimedDevice
from eie.program.segment import Segment


class Part:
    """What the instructions of a layer, or of the element-wise part of a recurrent one, add up to, in cycles."""

    def __init__(self, flit_cycles: float) -> None:
        self.flit_cycles = flit_cycles
        self.dma = 0.0
        self.cycles = self.broadcast = self.arithmetic = self.output = self.compute = 0

    def add(self, step: Step) -> None:
        """Count an instruction."""
        self.dma += step.flits * self.flit_cycles + 1  # a header takes a cycle more
        self.broadcast += step.broadcasts
        self.arithmetic += step.busiest
        self.output += step.length
        self.compute += step.end - step.start + 1 if step.instruction is isa.COMPUTE else 0


class TimedRun:
    """What the transfers of a batch take on a timed device.

    Parameters
    ----------
    device : TimedDevice
    parts : int
        Parts of the model that have figures of their own.
    """

    def __init__(self, device: TimedDevice, parts: int) -> None:
        self.device = device
        self.parts = [Part(flit_cycles(device.config, device.bytes_per_cycle)) for _ in range(parts)]
        self.cycles = self.transfers = self.flushed_bytes = self.invalidated_bytes = 0
        self.compute = self.start = self.drain = 0
        self.entries = np.zeros(device.config.num_pes, np.int64)

    def transfer(self, segment: Segment, activations: NDArray[np.int16]) -> tuple[ProgramTiming, NDArray[np.int16]]:
        """Run a transfer: int16, shape (B, columns) -> int16, shape (B, rows), and its timing."""
        words = np.zeros(segment.words(len(activations)), np.uint64)
        segment.fill(activations, words)
        before = self._entries()
        self.device.send(words.view(np.uint8))
        program = self.device.programs.pop()
        self.transfers += 1
        reply = WORD_BYTES * segment.output_words * len(activations)
        self.flushed_bytes += segment.changed_bytes(len(activations)) + reply
        self.invalidated_bytes += reply
        self.cycles += program.finish()
        self.compute += program.execution.cycles
        self.start += program.execution.starting
        self.drain += program.execution.draining
        self.entries += self._entries() - before
        return program, segment.unpack(self.device.receive(reply), len(activations))

    def _entries(self) -> NDArray[np.int64]:
        """Return the entries that each PE has worked off so far, shape (N,)."""
        work, padding = self.device.machine.work()
        return work + padding

    def totals(self) -> dict[str, Any]:
        """Return the fields of an `Estimate` that add up over the transfers."""
        return {
            "transfers": self.transfers,
            "flushed_bytes": self.flushed_bytes,
            "invalidated_bytes": self.invalidated_bytes,
            "batch_cycles": self.cycles,
            "starved": Starvation.of(self.compute, self.start, self.drain, self.entries).shares(self.compute),
        }


def layer_estimate(
    name: str, shape: tuple[int, int], tiles: int, alone: Part, together: Part, batch: int
) -> LayerEstimate:
    """Return the estimate of a layer of so many rows and columns, from one run alone and one of a batch."""
    work = max(together.broadcast, together.arithmetic)
    spent = {
        "broadcast": together.broadcast,
        "arithmetic": together.arithmetic,
        "output": together.output,
        "start-up": together.compute - work,
    }
    bound = max(spent, key=spent.__getitem__)
    if together.dma >= together.compute + together.output:
        bound = "DMA"  # what computes is in the shade of it
    return LayerEstimate(
        name=name,
        rows=shape[0],
        columns=shape[1],
        tiles=tiles,
        alone=alone.cycles,
        cycles=together.cycles / batch,
        dma=together.dma / batch,
        broadcast=together.broadcast / batch,
        arithmetic=together.arithmetic / batch,
        output=together.output / batch,
        compute=together.compute / batch,
        bound=bound,
    )
