"""The cycle model of a program: what the stream brings, beside the instructions that compute.

As in the control unit (`hw/eie_hw/shell/control_unit.py`), the stream carries a word a cycle at most, and its
instructions are taken in order. A load is carried out as its payload arrives; all others go to the execute
queue and run one after another. A load waits while a queued instruction still uses what it would overwrite.
All times are cycles from the first word of a transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from eie.contract import isa, pipeline
from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BYTES, ArrayConfig
from eie.contract.functions import MULTIPLIED
from eie.contract.isa import Instruction


@dataclass
class Step:
    """An instruction of a program, and when it is carried out.

    Parameters
    ----------
    instruction : Instruction
    words : int
        Words in the stream, header included.
    taken : int
        Cycle in which its header is accepted, after waiting.
    waited : int
        Cycles in which it held the stream back: what it would overwrite was in use, or the execute queue was full.
    cycles : int
        Of a COMPUTE: its duration.
    busiest, broadcasts : int
        Of a COMPUTE: entries of the PE that has most, activations broadcast.
    length : int
        Of a STORE or ELEMENTWISE its steps, of a READ its words.
    delay : int
        Of a STORE or ELEMENTWISE: cycles that its outputs take longer than plain ones.
    start, end : int
        First and last cycle; of a load, in which its words are taken.
    """

    instruction: Instruction
    words: int
    taken: int
    waited: int
    cycles: int = 0
    busiest: int = 0
    broadcasts: int = 0
    length: int = 0
    delay: int = 0
    start: int = 0
    end: int = -1


class ProgramTiming:
    """Times the instructions of one transfer, one after another.

    Parameters
    ----------
    config : ArrayConfig
    bytes_per_cycle : float
        What the DMA brings, at most the 8 bytes of a stream word.
    """

    def __init__(self, config: ArrayConfig, bytes_per_cycle: float = WORD_BYTES) -> None:
        self.config = config
        self.steps: list[Step] = []
        self._word_cycles = word_cycles(bytes_per_cycle)
        # When the control unit is ready for the next word, and when the DMA offers it.
        self._time = 0
        self._offered = 0.0
        # Instructions of the execute queue; their ends are worked out in order, and as late as possible: a STORE
        # steps aside for loads of activations, of which all until then must be known.
        self._queued: list[Step] = []
        self._known = 0
        self._holders: dict[tuple[str, int], int] = {}
        self._held: list[tuple[int, int]] = []
        self._first_held = 0

    def load(self, instruction: Instruction, values: dict[str, int], payload_words: int) -> Step:
        """Add an instruction that brings data."""
        decide = self._fetch() + pipeline.DECIDE_DELAY
        holders = [self._holders[r] for r in _resources(instruction, values, self.config) if r in self._holders]
        begin = max([decide, *(self._end(holder) + 1 for holder in holders)])
        first = max(begin + 1.0, self._offered)
        last = ceil(first + (payload_words - 1) * self._word_cycles)
        self._offered = last + self._word_cycles
        if instruction is isa.ACTIVATIONS:
            self._held.append((begin + 2, last + 1))
        self._time = last + 1
        step = Step(instruction, 1 + payload_words, begin, begin - decide, start=begin + 1, end=last)
        self.steps.append(step)
        return step

    def execute(
        self, instruction: Instruction, values: dict[str, int], cycles: int = 0, busiest: int = 0, broadcasts: int = 0
    ) -> Step:
        """Add a COMPUTE, of which the caller knows how long it takes, or another of the execute queue."""
        decide = self._fetch() + pipeline.DECIDE_DELAY
        full = len(self._queued) - pipeline.EXECUTE_QUEUE
        push = max(decide, self._end(full) + 1) if full >= 0 else decide
        length = 0
        if instruction is isa.STORE:
            length = values["count"] * min(self.config.num_pes, ACTIVATIONS_PER_WORD)
        elif instruction is isa.READ:
            length = values["count"] * self.config.words_per_group
        elif instruction is isa.ELEMENTWISE:
            length = values["count"] * ACTIVATIONS_PER_WORD
        multiplied = values.get("scaled", 0) or values.get("operation", 0) in MULTIPLIED
        delay = pipeline.SCALE_LATENCY if multiplied else 0
        step = Step(instruction, 1, push, push - decide, cycles, busiest, broadcasts, length, delay)
        for resource in _resources(instruction, values, self.config):
            self._holders[resource] = len(self._queued)
        self._queued.append(step)
        self._time = push + 1
        self.steps.append(step)
        return step

    def finish(self) -> int:
        """Return the cycles from the first word in to the last word out."""
        end = self._time - 1
        if self._queued:
            end = max(end, self._end(len(self._queued) - 1))
            reads = [step.end for step in self._queued if step.instruction is isa.READ]
            end = max([end, *(read + pipeline.RESULT_LATENCY for read in reads[-1:])])
        return end + 1

    # The stream.

    def _fetch(self) -> int:
        """Return the cycle in which the next header is taken."""
        time = max(self._time, ceil(self._offered))
        # The DMA does not work ahead by more than a word.
        self._offered = max(self._offered, time - 1.0) + self._word_cycles
        return time

    # The execute queue.

    def _end(self, number: int) -> int:
        """Return when a queued instruction is complete."""
        while self._known <= number:
            step = self._queued[self._known]
            before = self._queued[self._known - 1].end if self._known else -pipeline.START_LATENCY
            step.start = max(step.taken, before) + pipeline.START_LATENCY
            if step.instruction is isa.COMPUTE:
                step.end = step.start + step.cycles - 1
            elif step.instruction is isa.STORE:
                step.end = self._last_store_step(step) + pipeline.STORE_END + step.delay
            elif step.instruction is isa.ELEMENTWISE:
                # Loads of activations wait until it is done.
                step.end = step.start + pipeline.ELEMENT_BEGIN + step.length - 1 + pipeline.STORE_END + step.delay
            elif step.instruction is isa.FORMAT:
                step.end = step.start + pipeline.FORMAT_CYCLES - 1
            else:
                step.end = step.start + self._read_cycles(step.length)
            self._known += 1
        return self._queued[number].end

    def _last_store_step(self, step: Step) -> int:
        """Return when a STORE makes its last step; it makes none in a cycle in which an activation is loaded."""
        distance = 1 if self.config.num_pes > 1 else 2
        time = step.start + pipeline.STORE_BEGIN - distance
        for _ in range(step.length):
            time += distance
            while self._first_held < len(self._held) and self._held[self._first_held][1] < time:
                self._first_held += 1
            if self._first_held < len(self._held) and self._held[self._first_held][0] <= time:
                time = self._held[self._first_held][1] + 1
        return time

    def _read_cycles(self, words: int) -> int:
        # A request, the memory's latency, a place in the output queue, the end.
        first = pipeline.read_latency(self.config) + 3
        # A word's place in the output queue is free again so many cycles after it was asked for.
        pauses = (words - 1) // pipeline.RESULT_QUEUE * max(0, first - pipeline.RESULT_QUEUE)
        return first + words - 1 + pauses


def _resources(instruction: Instruction, values: dict[str, int], config: ArrayConfig) -> list[tuple[str, int]]:
    """Return what an instruction uses of what the interlock guards: banks, codebook slots, biases, activations."""
    names: list[tuple[str, int]] = [(name, values[name]) for name in ("bank", "slot") if name in values]
    for span in instruction.spans:
        if span.memory == "biases":
            names.append(("biases", 0))
        elif span.memory == "activations":
            if span.is_alone(values):
                names += [("activations", i) for i in range(pipeline.activation_segments(config))]
                continue
            groups = config.activation_groups // pipeline.activation_segments(config)
            length = span.length(config, values)
            first = values[span.start]
            names += [("activations", i) for i in range(first // groups, (first + length - 1) // groups + 1)]
    return names


def word_cycles(bytes_per_cycle: float) -> float:
    """Return the cycles between two stream words."""
    return max(1.0, WORD_BYTES / bytes_per_cycle)
