"""The cycle model of COMPUTEs: the array's units as recurrences over time, equal to the hardware cycle for cycle.

Each unit is the one of `hw/eie_hw` that its comment names; `eie.contract.pipeline` holds the latencies that both share.
The functions are plain Python over scalars; numba (extra "fast") compiles them where it is installed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import pipeline
from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.devices.emulation.just_in_time import compiled


def _interpreted(function: Any) -> Any:
    return function


_compile: Any = _interpreted
if find_spec("numba") is not None:
    _compile = compiled


_GROUP_STAGE = 2
"""Stage of the search that holds a group; the next one holds it again, in a register slice."""
LONG_AGO = -(1 << 40)


@dataclass(frozen=True)
class Work:
    """What a COMPUTE has to do.

    Parameters
    ----------
    activations : ndarray, shape (columns,), int16
        Whole activation groups.
    lengths : ndarray, shape (columns, N), int32
        Entries of each PE's columns, padding included.
    address : int
        Activation group of the first column.
    """

    activations: NDArray[np.int16]
    lengths: NDArray[np.int32]
    address: int


@dataclass(frozen=True)
class ComputeTiming:
    """When a COMPUTE comes to its marks; cycles as in `hw/eie_hw/array/compute_control.py`.

    Parameters
    ----------
    ready : int
        The next one may be taken.
    arrived : int or None
        Its first activation is in the PEs' queues; None if it broadcasts nothing.
    done : int
        Its sums are visible to whatever starts in the next cycle.
    blocked, queued : ndarray, shape (N,), int64
        What it adds to those of the `ArrayTiming`.
    """

    ready: int
    arrived: int | None
    done: int
    blocked: NDArray[np.int64]
    queued: NDArray[np.int64]


class ArrayTiming:
    """The array while it carries out COMPUTEs, one behind another.

    Parameters
    ----------
    config : ArrayConfig

    Attributes
    ----------
    blocked : ndarray, shape (N,), int64
        Cycles in which each PE's full queue held a broadcast back.
    queued : ndarray, shape (N,), int64
        Columns waiting in each PE's queue, summed over the cycles.
    """

    def __init__(self, config: ArrayConfig) -> None:
        self.config = config
        self.blocked, self.queued = np.zeros((2, config.num_pes), np.int64)
        self._stages = 3 + pipeline.lane_levels(config)
        # When the latest item left each stage for the next; the last stage is the broadcast. Then the latest window of
        # groups looked at, the latest group, the latest column issued.
        self._left = np.full(self._stages + 1, LONG_AGO, np.int64)
        self._latest = np.full(3, LONG_AGO, np.int64)
        self._done = LONG_AGO
        # Per PE: when the latest columns were pushed into the queue and popped from it, round and round; how many came,
        # and of how many the push and the pop were seen at the broadcast; when it is free.
        slots = 2 * pipeline.queue_slots(config)
        self._pushed, self._popped = np.zeros((2, config.num_pes, slots), np.int64)
        self._counts = np.zeros((3, config.num_pes), np.int64)
        self._free = np.full(config.num_pes, LONG_AGO, np.int64)
        self._elements = min(config.num_pes, ACTIVATIONS_PER_WORD)
        self._holds = [np.zeros(0, np.int64)] * self._elements
        self._reads = np.zeros(0, np.int64)

    def store(self, steps: list[int]) -> None:
        """Note the steps of a STORE: in the cycles that each takes, its PEs issue nothing in COMPUTEs that follow."""
        for element in range(self._elements):
            own = np.array(steps[element :: self._elements], np.int64) + pipeline.STORE_HOLD
            slots = (own[:, None] + np.arange(pipeline.STORE_SLOTS)).ravel()
            self._holds[element] = np.concatenate((self._to_come(self._holds[element]), slots))

    def read(self, start: int, groups: int, words: int) -> None:
        """Note a READ of so many words of each group: in the cycles in which it asks the memory for a group, nothing
        is broadcast by COMPUTEs that follow."""
        asked = start + 2 + pipeline.READ_DELAY + words * np.arange(groups)
        self._reads = np.concatenate((self._to_come(self._reads), asked))

    def compute(self, start: int, work: Work) -> ComputeTiming:
        """Carry out a COMPUTE that starts in a cycle."""
        config = self.config
        chunk = pipeline.GROUPS_AT_ONCE
        active = np.flatnonzero(work.activations)
        groups = len(work.activations) // config.lanes
        # compute_control: activations must have settled, and the walk before have ended.
        walk = max(start + 2 + pipeline.start_delay(config), int(self._latest[0]) + 2)
        holds = np.full((self._elements, max(map(len, self._holds)) + 1), np.iinfo(np.int64).max)
        for row, times in zip(holds, self._holds, strict=True):
            row[: len(times)] = times
        blocked, queued = np.zeros((2, config.num_pes), np.int64)
        first_pick, last_issue = _simulate(
            work.lengths[active],
            _new_items(active, work.address, config),
            (work.address + active // config.lanes) // chunk - work.address // chunk,
            (work.address + groups - 1) // chunk - work.address // chunk + 1,
            walk,
            pipeline.broadcast_latency(config),
            pipeline.queue_high_water(config),
            config.skip_empty,
            holds,
            np.append(self._reads, np.iinfo(np.int64).max),
            self._left,
            self._latest,
            self._pushed,
            self._popped,
            self._counts,
            self._free,
            blocked,
            queued,
        )
        self.blocked += blocked
        self.queued += queued
        # compute_control: all found, all arrived, all issued, all accumulated.
        last_pick = int(self._left[-1]) if len(active) else LONG_AGO
        walked = max(int(self._latest[0]) + 1, last_pick + 1, walk + 1, self._done + 1)
        self._done = max(walked + 2 + pipeline.broadcast_latency(config), int(last_issue) + 3) + 1
        ready = max(walk, start + pipeline.COPY_CYCLES - 1) + 1
        arrived = int(first_pick) + pipeline.broadcast_latency(config) if len(active) else None
        return ComputeTiming(ready, arrived, self._done, blocked, queued)

    def compute_alone(self, works: Iterable[Work]) -> int:
        """Carry out COMPUTEs one behind another, the first ones of the array; return the cycles in all."""
        free, done = 0, [0] * pipeline.COMPUTES_AT_ONCE
        for work in works:
            # As in the execute queue: the one before is ready, and all but it are done.
            timing = self.compute(max(free, done[0] + 1) + 1, work)
            free, done = timing.ready, [*done[1:], timing.done]
        return done[-1] - 1

    def _to_come(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those after the latest broadcast: what is broadcast later cannot meet the others."""
        return times[times > self._left[-1]]


def _new_items(active: NDArray[np.intp], address: int, config: ArrayConfig) -> NDArray[np.int64]:
    """Return, for each non-zero activation, the first stage of the search at which it differs from the one before.

    Stage 1 holds a quarter of a window of groups, 2 a group, 3 a group again, and each later one a quarter of a mask.
    """
    levels = pipeline.lane_levels(config)
    lane = active % config.lanes
    group = address + active // config.lanes
    keys = [group // 4, group, group]
    keys += [group * 4 ** (level + 1) + lane // 4 ** (levels - 1 - level) for level in range(levels)]
    new = np.full(len(active), 3 + levels, np.int64)
    for stage in range(len(keys), 0, -1):
        key = keys[stage - 1]
        new[1:][key[1:] != key[:-1]] = stage
    new[:1] = 1
    return new


@_compile
def _simulate(  # type: ignore[no-untyped-def]
    lengths, new_items, windows, num_windows, walk, latency, high_water, skip_empty, holds, reads,
    left, latest, pushed, popped, counts, free, blocked, queued,
):  # fmt: skip
    """Carry out a COMPUTE whose walk begins; return the cycles of its first pick, if it has any, and of its last issue.

    All arrays of state go on.
    """
    picks, num_pes = lengths.shape
    stages = len(left) - 1
    slots = pushed.shape[1]
    elements = len(holds)
    window = 0
    window_time = max(walk + 2, left[1])
    group_before = latest[1]
    first_pick = last_issue = latest[2]
    next_hold = np.zeros(num_pes, np.int64)
    next_read = 0

    for pick in range(picks):
        # nonzero_groups: a window of groups a cycle; the next is taken when the last quarter of the present one is.
        parent = 0
        while window < windows[pick]:
            window += 1
            window_time = max(window_time + 1, left[1])
        first = new_items[pick]
        # leading_nonzero: an item leaves when its parent has arrived, one a cycle, as soon as the next stage is free.
        for stage in range(first, stages + 1):
            if stage == first and pick > 0 and not (stage == 1 and windows[pick] != windows[pick - 1]):
                time = left[stage] + 1
            elif stage == 1:
                time = window_time + 1
            else:
                time = parent + 1
            if stage == _GROUP_STAGE:
                # register_slice: there is room for two groups.
                time = max(time, group_before + 1)
            elif stage < stages:
                time = max(time, left[stage + 1])
            if stage == _GROUP_STAGE + 1:
                time = max(time, left[stage] + 1)
                group_before = left[stage]
            parent = time
            left[stage] = time
        # broadcast: held back two cycles after a queue reached its high-water mark, and while a READ asks for a word.
        time = left[stages]
        while True:
            held = False
            for pe in range(num_pes):
                while counts[1, pe] < counts[0, pe] and pushed[pe, counts[1, pe] % slots] <= time - 3:
                    counts[1, pe] += 1
                while counts[2, pe] < counts[0, pe] and popped[pe, counts[2, pe] % slots] <= time - 3:
                    counts[2, pe] += 1
                if counts[1, pe] - counts[2, pe] >= high_water:
                    blocked[pe] += 1
                    held = True
            while reads[next_read] < time:
                next_read += 1
            if not held and reads[next_read] != time:
                break
            time += 1
        left[stages] = time
        if pick == 0:
            first_pick = time
        # pointer_read, activation_queue, sparse_matrix_read: one entry a cycle, an empty column a cycle; none while a
        # STORE has the PE.
        arrival = time + latency
        for pe in range(num_pes):
            length = lengths[pick, pe]
            if length > 0 or not skip_empty:
                held_times = holds[pe % elements]
                hold = next_hold[pe]
                begin = max(arrival + 1, free[pe])
                while held_times[hold] < begin:
                    hold += 1
                while held_times[hold] == begin:
                    begin += 1
                    hold += 1
                end = begin + max(length, 1) - 1
                while held_times[hold] <= end:
                    end += 1
                    hold += 1
                next_hold[pe] = hold
                place = counts[0, pe] % slots
                pushed[pe, place] = arrival
                popped[pe, place] = begin
                queued[pe] += begin - arrival
                counts[0, pe] += 1
                free[pe] = end + 1
                last_issue = max(last_issue, end)

    while window < num_windows - 1:
        window += 1
        window_time = max(window_time + 1, left[1])
    latest[0] = window_time
    latest[1] = group_before
    latest[2] = last_issue
    return first_pick, last_issue
