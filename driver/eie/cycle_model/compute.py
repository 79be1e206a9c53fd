"""The cycle model of a COMPUTE: the array's units as recurrences over time, equal to the hardware cycle for cycle.

Each unit is the one of `hw/eie_hw` that its comment names; `eie.contract.pipeline` holds the latencies that both share.
The functions are plain Python over scalars; numba (extra "fast") compiles them where it is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie.devices.emulation.just_in_time import compiled


def _interpreted(function: Any) -> Any:
    return function


_compile: Any = _interpreted
if find_spec("numba") is not None:
    _compile = compiled


_GROUP_STAGE = 2
"""Stage of the search that holds a group; the next one holds it again, in a register slice."""


@dataclass(frozen=True)
class ComputeTiming:
    """How long a COMPUTE takes, and why.

    Parameters
    ----------
    cycles : int
        From its start until it is complete, both included.
    blocked : ndarray, shape (N,), int64
        Cycles in which each PE's full queue held a broadcast back.
    queued : ndarray, shape (N,), int64
        Columns waiting in each PE's queue, summed over the cycles.
    """

    cycles: int
    blocked: NDArray[np.int64]
    queued: NDArray[np.int64]


def compute_timing(
    activations: NDArray[np.int16], lengths: NDArray[np.int32], address: int, config: ArrayConfig
) -> ComputeTiming:
    """Return the timing of a COMPUTE.

    Parameters
    ----------
    activations : ndarray, shape (columns,), int16
        Whole activation groups.
    lengths : ndarray, shape (columns, N), int32
        Entries of each PE's columns, padding included.
    address : int
        Activation group of the first column.
    config : ArrayConfig
    """
    active = np.flatnonzero(activations)
    groups = len(activations) // config.lanes
    stages = 3 + pipeline.lane_levels(config)
    blocked, queued = np.zeros((2, config.num_pes), np.int64)
    cycles = _simulate(
        active,
        lengths[active],
        _new_items(active, address, config),
        (address + active // config.lanes) // pipeline.GROUPS_AT_ONCE - address // pipeline.GROUPS_AT_ONCE,
        (address + groups - 1) // pipeline.GROUPS_AT_ONCE - address // pipeline.GROUPS_AT_ONCE + 1,
        stages,
        2 + pipeline.start_delay(config),
        pipeline.broadcast_latency(config),
        pipeline.queue_high_water(config),
        config.skip_empty,
        blocked,
        queued,
    )
    return ComputeTiming(int(cycles), blocked, queued)


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
    active, lengths, new_items, windows, num_windows, stages, walk, latency, high_water, skip_empty, blocked, queued
):
    """Return the cycles of a COMPUTE that starts in cycle 0; add to `blocked` and `queued`."""
    picks, num_pes = lengths.shape
    # When the latest item left each stage for the next; the last stage is the broadcast.
    left = np.zeros(stages + 1, np.int64)
    group_before = 0
    window = 0
    window_time = walk + 2
    # Per PE: when each column was pushed into the queue and popped from it.
    pushed = np.zeros((num_pes, picks), np.int64)
    popped = np.zeros((num_pes, picks), np.int64)
    columns = np.zeros(num_pes, np.int64)
    free = np.zeros(num_pes, np.int64)
    pushes_seen = np.zeros(num_pes, np.int64)
    pops_seen = np.zeros(num_pes, np.int64)

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
        # broadcast: held back two cycles after a queue reached its high-water mark.
        time = left[stages]
        while True:
            held = False
            for pe in range(num_pes):
                while pushes_seen[pe] < columns[pe] and pushed[pe, pushes_seen[pe]] <= time - 3:
                    pushes_seen[pe] += 1
                while pops_seen[pe] < columns[pe] and popped[pe, pops_seen[pe]] <= time - 3:
                    pops_seen[pe] += 1
                if pushes_seen[pe] - pops_seen[pe] >= high_water:
                    blocked[pe] += 1
                    held = True
            if not held:
                break
            time += 1
        left[stages] = time
        # pointer_read, activation_queue, sparse_matrix_read: one entry a cycle, an empty column a cycle.
        arrival = time + latency
        for pe in range(num_pes):
            length = lengths[pick, pe]
            if length > 0 or not skip_empty:
                begin = max(arrival + 1, free[pe])
                pushed[pe, columns[pe]] = arrival
                popped[pe, columns[pe]] = begin
                queued[pe] += begin - arrival
                columns[pe] += 1
                free[pe] = begin + max(length, 1)

    while window < num_windows - 1:
        window += 1
        window_time = max(window_time + 1, left[1])
    # compute_control: all found, all arrived, all issued, all accumulated.
    walked = max(window_time, left[stages]) + 1
    last_issue = free.max() - 1
    return max(walked + 2 + latency, last_issue + 3) + 2
