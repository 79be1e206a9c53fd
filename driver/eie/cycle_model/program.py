"""The cycle model of a program: what the stream brings, beside the instructions that compute.

As in the control unit (`hw/eie_hw/shell/control_unit.py`), the stream carries a flit a cycle at most, and its
instructions are taken in order. A load is carried out as its payload arrives; all others go to the execute queue
(`eie.cycle_model.execution`). A load waits while a queued instruction still uses what it would overwrite.
All times are cycles from the first word of a transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from eie.contract import isa, pipeline
from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.contract.isa import Instruction
from eie.cycle_model.compute import ComputeTiming, Work
from eie.cycle_model.execution import Executed, ExecutionTiming, segments_of


@dataclass
class Step:
    """An instruction of a program, and when it is carried out.

    Parameters
    ----------
    instruction : Instruction
    flits : int
        Flits in the stream, header included.
    taken : int
        Cycle in which its header is accepted, after waiting.
    waited : int
        Cycles in which it held the stream back: what it would overwrite was in use, or the execute queue was full.
    busiest, broadcasts : int
        Of a COMPUTE: entries of the PE that has most, activations broadcast.
    length : int
        Of a STORE or ELEMENTWISE its steps, of a READ its words.
    start, end : int
        First and last cycle; of a load, in which its words are taken.
    cycles, timing
        Of a COMPUTE: see `Executed`.
    """

    instruction: Instruction
    flits: int
    taken: int
    waited: int
    busiest: int = 0
    broadcasts: int = 0
    length: int = 0
    start: int = 0
    end: int = -1
    cycles: int = 0
    timing: ComputeTiming | None = None


class ProgramTiming:
    """Times the instructions of one transfer, one after another.

    Parameters
    ----------
    config : ArrayConfig
    bytes_per_cycle : float
        What the DMA brings, by default and at most the bytes of a flit.
    """

    def __init__(self, config: ArrayConfig, bytes_per_cycle: float | None = None) -> None:
        self.config = config
        self.steps: list[Step] = []
        self._flit_cycles = flit_cycles(config, bytes_per_cycle)
        # When the control unit is ready for the next word, and when the DMA offers it.
        self._time = 0
        self._offered = 0.0
        # Instructions of the execute queue; they are timed in order, and as late as possible: a STORE steps aside for
        # loads of activations, of which all until then must be known. None begins before what it waits for retires.
        self.execution = ExecutionTiming(config)
        self._queued: list[tuple[Step, Executed]] = []
        self._known = 0
        self._holders: dict[tuple[str, int], int] = {}

    def load(self, instruction: Instruction, values: dict[str, int], payload_words: int) -> Step:
        """Add an instruction that brings data: so many words of 64 bits, which make whole flits."""
        flits = payload_words // self.config.flit_words
        decide = self._fetch() + pipeline.DECIDE_DELAY
        holders = [self._holders[r] for r in _resources(instruction, values, self.config) if r in self._holders]
        begin = max([decide, *(self._retired(holder) + 1 for holder in holders)])
        first = max(begin + 1.0, self._offered)
        offered = first + (flits - 1) * self._flit_cycles
        last = ceil(offered)
        self._offered = offered + self._flit_cycles
        if instruction is isa.ACTIVATIONS:
            in_group = self.config.words_per_group // self.config.flit_words
            ends = range(in_group - 1, flits, in_group)
            self.execution.held += [ceil(first + flit * self._flit_cycles) + 1 for flit in ends]
        self._time = last + 1
        step = Step(instruction, 1 + flits, begin, begin - decide, start=begin + 1, end=last)
        self.steps.append(step)
        return step

    def execute(self, instruction: Instruction, values: dict[str, int], work: Work | None = None) -> Step:
        """Add a COMPUTE with its work, or another of the execute queue."""
        decide = self._fetch() + pipeline.DECIDE_DELAY
        full = len(self._queued) - pipeline.EXECUTE_QUEUE
        push = max(decide, self._retired(full) + 1) if full >= 0 else decide
        step = Step(instruction, 1, push, push - decide)
        if instruction is isa.STORE:
            step.length = values["count"] * min(self.config.num_pes, ACTIVATIONS_PER_WORD)
        elif instruction is isa.ELEMENTWISE:
            step.length = values["count"] * ACTIVATIONS_PER_WORD
        elif instruction is isa.READ:
            step.length = values["count"] * (values["words"] or self.config.words_per_group)
        elif work is not None:
            active = work.activations != 0
            step.busiest = int(work.lengths[active].sum(axis=0).max())
            step.broadcasts = int(active.sum())
        for resource in _resources(instruction, values, self.config):
            self._holders[resource] = len(self._queued)
        self._queued.append((step, Executed(instruction, values, push, work)))
        self._time = push + 1
        self.steps.append(step)
        return step

    def finish(self) -> int:
        """Return the cycles from the first word in to the last word out."""
        end = self._time - 1
        if self._queued:
            end = max(end, self._retired(len(self._queued) - 1))
            reads = [step.end for step, _ in self._queued if step.instruction is isa.READ]
            end = max([end, *(read + pipeline.RESULT_LATENCY for read in reads[-1:])])
        return end + 1

    # The stream.

    def _fetch(self) -> int:
        """Return the cycle in which the next header is taken."""
        time = max(self._time, ceil(self._offered))
        # The DMA does not work ahead by more than a flit.
        self._offered = max(self._offered, time - 1.0) + self._flit_cycles
        return time

    # The execute queue.

    def _retired(self, number: int) -> int:
        """Return when a queued instruction retires."""
        while self._known <= number:
            step, executed = self._queued[self._known]
            self.execution.run(executed)
            step.start, step.end = executed.start, executed.end
            step.cycles, step.timing = executed.cycles, executed.timing
            self._known += 1
        return self._queued[number][1].retired


def _resources(instruction: Instruction, values: dict[str, int], config: ArrayConfig) -> list[tuple[str, int]]:
    """Return what an instruction uses of what the interlock guards: banks, codebook slots, biases, activations."""
    names: list[tuple[str, int]] = [(name, values[name]) for name in ("bank", "slot") if name in values]
    for span in instruction.spans:
        if span.memory == "biases":
            names.append(("biases", 0))
        elif span.memory == "activations":
            alone = span.is_alone(values)
            used = range(pipeline.activation_segments(config)) if alone else segments_of(span, values, config)
            names += [("activations", segment) for segment in used]
    return names


def flit_cycles(config: ArrayConfig, bytes_per_cycle: float | None = None) -> float:
    """Return the cycles between two flits."""
    return max(1.0, config.flit_bytes / (bytes_per_cycle or config.flit_bytes))
