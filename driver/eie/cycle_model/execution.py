"""The cycle model of the execute queue: when each of its instructions starts, is done and retires.

As in `hw/eie_hw/shell/execute_queue.py`: instructions are taken in order, and each starts when what it needs is there.
Times are cycles; an instruction depends on those before it only, and on the loads that a STORE steps aside for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract import isa, pipeline
from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig, range_of_part
from eie.contract.functions import MULTIPLIED
from eie.contract.isa import Instruction, Span
from eie.cycle_model.compute import LONG_AGO, ArrayTiming, ComputeTiming, Work


@dataclass
class Executed:
    """An instruction of the execute queue.

    Parameters
    ----------
    instruction : Instruction
    values : dict
        Fields of its header.
    push : int
        Cycle in which it comes into the queue.
    work : Work, optional
        Of a COMPUTE, until it is carried out.
    start, end : int
        First and last cycle.
    retired : int
        Cycle in which it retires.
    cycles : int
        Of a COMPUTE: cycles in which it is in progress, and all COMPUTEs before it are done.
    timing : ComputeTiming, optional
        Of a COMPUTE.
    """

    instruction: Instruction
    values: dict[str, int]
    push: int
    work: Work | None = None
    start: int = 0
    end: int = -1
    retired: int = -1
    cycles: int = 0
    timing: ComputeTiming | None = None


class ExecutionTiming:
    """Times instructions, in the order in which they are given.

    Parameters
    ----------
    config : ArrayConfig

    Attributes
    ----------
    array : ArrayTiming
    cycles : int
        In which a COMPUTE was in progress.
    starting, draining : int
        Of these: before an activation had arrived at the PEs, and while the last sums settled with no COMPUTE behind.
    held : list of int
        Cycles in which a group of activations is loaded, in order: a STORE makes no step.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.array = ArrayTiming(config)
        self.cycles = self.starting = self.draining = self._drain = 0
        self.held: list[int] = []
        self._first_held = 0
        self._taken = self._retired = self._ready = LONG_AGO
        # When the COMPUTEs, the STORE, the READ, the FORMAT and the ELEMENTWISE taken last were done, and the STORE
        # released what it used.
        self._computes = [LONG_AGO] * pipeline.COMPUTES_AT_ONCE
        self._store = self._read = self._form = self._element = self._released = LONG_AGO
        self._stored: tuple[int, set[int]] = (0, set())
        self._being_read: set[int] = set()

    def run(self, step: Executed) -> None:
        """Time the next instruction."""
        if step.instruction is isa.COMPUTE:
            self._run_compute(step)
        elif step.instruction is isa.STORE:
            self._run_store(step)
        elif step.instruction is isa.READ:
            self._run_read(step)
        elif step.instruction is isa.FORMAT:
            step.start = self._take(step, self._store + 1, self._form + 1) + 1
            self._form = step.end = step.start + pipeline.FORMAT_CYCLES - 1
        elif step.instruction is isa.ELEMENTWISE:
            self._run_element(step)
        else:
            raise ValueError(f"{step.instruction.name} does not go to the execute queue")
        self._retired = step.retired = max(step.end, self._retired) + pipeline.RETIRE_LATENCY

    def _segments(self, step: Executed) -> set[int]:
        """Return the segments of the activation memory that an instruction reads or writes."""
        span = next(span for span in step.instruction.spans if span.memory == "activations")
        return set(segments_of(span, step.values, self.config))

    def _take(self, step: Executed, *conditions: int) -> int:
        """Return the cycle in which an instruction leaves the queue."""
        self._taken = max(step.push + 1, self._taken + 1, self._element + 1, *conditions)
        return self._taken

    def _run_compute(self, step: Executed) -> None:
        assert step.work is not None
        conditions = [self._ready, self._computes[0] + 1]
        quarters, segments = self._stored
        if covered(step.values["part"]) & quarters or segments & self._segments(step):
            conditions.append(self._released + 1)
        step.start = self._take(step, *conditions) + 1
        step.timing = timing = self.array.compute(step.start, step.work)
        step.work = None
        step.end, self._ready = timing.done, timing.ready
        self._count_cycles(step, timing)
        self._computes = [*self._computes[1:], step.end]

    def _count_cycles(self, step: Executed, timing: ComputeTiming) -> None:
        before = self._computes[-1]
        begun = max(step.start - 1, before)
        step.cycles = step.end - begun
        self.cycles += step.cycles
        self.starting += step.cycles if timing.arrived is None else max(0, timing.arrived - begun)
        if step.start < before:  # the one before was not alone at its end
            self.draining -= self._drain
        self._drain = 0 if timing.arrived is None else pipeline.DRAIN_CYCLES
        self.draining += self._drain

    def _run_store(self, step: Executed) -> None:
        conditions = [self._store + 1, self._form + 1]
        if self._being_read & self._segments(step):
            conditions.append(self._read + 1)
        taken = self._take(step, *conditions)
        step.start = max(taken + 1, self._computes[-1] + 2)
        steps = self._store_steps(step)
        self.array.store(steps)
        last = steps[-1] + pipeline.SCALE_LATENCY * step.values["scaled"]
        self._released = last + pipeline.STORE_RELEASE
        self._store = step.end = last + pipeline.STORE_END
        self._stored = covered(step.values["part"]), self._segments(step)

    def _store_steps(self, step: Executed) -> list[int]:
        """Return when a STORE makes its steps; it makes none in a cycle in which a group is loaded."""
        elements = min(self.config.num_pes, ACTIVATIONS_PER_WORD)
        distance = 1 if elements > 1 else 2
        time = step.start + pipeline.STORE_BEGIN - distance
        steps = []
        for _ in range(step.values["count"] * elements):
            time += distance
            while self._first_held < len(self.held) and self.held[self._first_held] < time:
                self._first_held += 1
            while self._first_held < len(self.held) and self.held[self._first_held] == time:
                time += 1
                self._first_held += 1
            steps.append(time)
        return steps

    def _run_read(self, step: Executed) -> None:
        taken = self._take(step, self._read + 1)
        step.start = max(taken + 1, self._computes[-1] + 2, self._released + 2)
        groups, each = step.values["count"], step.values["words"] or self.config.words_per_group
        words = groups * each
        self._being_read = self._segments(step)
        self.array.read(step.start, groups, each)
        # A request, the memory's latency, a place in the output queue, the end.
        self._read = step.end = step.start + pipeline.read_latency(self.config) + 3 + words - 1

    def _run_element(self, step: Executed) -> None:
        taken = self._take(step, self._computes[-1] + 1, self._store + 1, self._read + 1, self._form + 1)
        step.start = taken + 1
        # Loads of activations wait until it is done: no step is put off.
        steps = step.values["count"] * ACTIVATIONS_PER_WORD
        late = pipeline.SCALE_LATENCY if step.values["operation"] in MULTIPLIED else 0
        self._element = step.end = step.start + pipeline.ELEMENT_BEGIN + steps - 1 + pipeline.STORE_END + late

    @property
    def blocked(self) -> NDArray[np.int64]:
        """Cycles in which each PE's full queue held a broadcast back, shape (N,)."""
        return self.array.blocked


def covered(part: int) -> int:
    """Return the quarters of the accumulators that a part covers, as bits."""
    first, count = range_of_part(part, 4)
    return ((1 << count) - 1) << first


def segments_of(span: Span, values: dict[str, int], config: ArrayConfig) -> range:
    """Return the segments of the activation memory that a range of an instruction lies in."""
    groups = config.activation_groups // pipeline.activation_segments(config)
    first = values[span.start]
    return range(first // groups, (first + span.length(config, values) - 1) // groups + 1)
