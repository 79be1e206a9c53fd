"""Latencies of the array that its hardware and its cycle model must agree on, in clock cycles."""

from __future__ import annotations

from eie.contract.config import CODEBOOK_SIZE, ArrayConfig

SMALLEST_QUEUE = 32
"""A queue in distributed memory costs the same for any depth up to this."""


def quadtree_levels(leaves: int) -> int:
    """Return the levels of a tree of 4-way nodes over this many leaves."""
    levels = 0
    while 4**levels < leaves:
        levels += 1
    return levels


def lane_levels(config: ArrayConfig) -> int:
    """Return the levels of the leading non-zero quadtree over a group's lanes."""
    return quadtree_levels(config.lanes)


def word_latency(config: ArrayConfig) -> int:
    """Return the cycles of the multiplexer over a group's words: a register for every 4-way level, and at least one,
    for the pointer memories are read meanwhile."""
    return max(1, quadtree_levels(config.words_per_group))


def broadcast_latency(config: ArrayConfig) -> int:
    """Return the cycles from the pick of a non-zero lane to the push into the PEs' queues: lane address, activation
    memory, the multiplexer over words, and the one over a word's lanes."""
    return 2 + word_latency(config) + 1


COLUMN_LATENCY = 2
"""Cycles from the addresses of a column's pointers to its push into the queue; they leave as much before the value."""

ISSUE_LATENCY = 1
"""Cycles from the push of a column into an empty queue to the issue of its first entry."""

ENTRY_LATENCY = 2
"""Cycles from the issue of an entry to its code and index at the arithmetic unit."""

SUM_LATENCY = 4
"""Cycles from an entry at the arithmetic unit to the sum in its accumulator."""


def hold_latency(config: ArrayConfig) -> int:
    """Return the columns that may still be pushed after the one that makes a queue full."""
    return broadcast_latency(config) + 2


def queue_slots(config: ArrayConfig) -> int:
    """Return the slots that a queue really has: a power of two that holds what is waiting and what is in flight."""
    needed = queue_high_water(config) + hold_latency(config)
    return max(SMALLEST_QUEUE, 1 << (needed - 1).bit_length())


def queue_high_water(config: ArrayConfig) -> int:
    """Return the number of waiting columns from which a PE holds the broadcast back.

    Half of what is in flight comes on top of `queue_depth`: so the array keeps within 3 % of an ideal one, whose
    broadcast arrives at once, with queues of that depth (`scripts/bench_throughput.py`).
    """
    return config.queue_depth + hold_latency(config) // 2


EXECUTE_QUEUE = 16
"""Instructions that can be queued or running beside the loads; a power of two."""

START_LATENCY = 2
"""Cycles from the push of an instruction, or from the end of what it waits for, to its start."""

DRAIN_CYCLES = ENTRY_LATENCY + 2
"""Cycles from the issue of a COMPUTE's last entry, or the arrival of its last column, to its `done`."""

COMPUTES_AT_ONCE = 2
"""COMPUTEs in progress: while the PEs work off one, the next is searched and broadcast."""

RETIRE_LATENCY = 1
"""Cycles from the end of an instruction until what it used is free for loads, if all before it have ended."""

ACTIVATION_SEGMENTS = 8
"""Equal parts of the activation memory that are guarded apart."""

STORE_BEGIN = 1
"""Cycles from the start of a STORE to its first step."""

STORE_HOLD = 1
"""Cycles from a step of a STORE to the first of the STORE_SLOTS cycles in which its PE issues no entry."""

STORE_SLOTS = 2
"""Cycles that a PE gives to each accumulator: to hand it out, and to clear it."""

STORE_SELECT = STORE_HOLD + ENTRY_LATENCY + 2
"""Cycles from a step of a STORE to its PE's number at the output units, one before its accumulator."""

OUTPUT_LATENCY = 5
"""Cycles from an accumulator to the output unit's result."""

STORE_WRITE = STORE_SELECT + OUTPUT_LATENCY
"""Cycles from a step of a STORE to its write strobe, which is registered once more on its way."""

SCALE_LATENCY = 4
"""Cycles that a scaled output takes longer: three through the multiplier, one to be clipped."""

STORE_END = STORE_WRITE
"""Cycles from the last step of a plain STORE to its end; of a scaled one, SCALE_LATENCY more."""

STORE_RELEASE = 2
"""Cycles from the last step of a plain STORE until COMPUTEs and READs that use what it used may be taken, SCALE_LATENCY
more of a scaled one: they find what it wrote just as they find what was loaded."""

OPERAND_DELAY = STORE_SELECT - 3
"""Cycles from the steps of an ELEMENTWISE for a group's first lanes to the requests of its operands."""

ELEMENT_BEGIN = STORE_WRITE - 3 - OPERAND_DELAY
"""Cycles from the start of an ELEMENTWISE to its first step, so that activations loaded just before it are found."""

FORMAT_CYCLES = 2
"""Cycles from the start of a FORMAT to its end, both included."""

READ_DELAY = STORE_WRITE + 1
"""Cycles by which a READ is held back: by as much as a load of activations is, to find what was loaded before."""

RESULT_QUEUE = 32
"""Words of a READ on their way to the host at most; a power of two above the memory's latency."""

RESULT_LATENCY = 2
"""Cycles from the end of a READ until its last word has left."""

GROUPS_AT_ONCE = 16
"""Activation groups that the search for non-zero ones looks at in one cycle."""

DECIDE_DELAY = 2
"""Cycles from the one in which the control unit takes a header to the one in which it decides on it: the first checks
it, the second judges what the checks found."""

COPY_CYCLES = CODEBOOK_SIZE + 1
"""Cycles to copy a codebook into the PEs at the start of a COMPUTE."""


SETTLE_CYCLES = STORE_WRITE - 3
"""Cycles that a COMPUTE waits so that activations loaded just before it are found."""


def activation_segments(config: ArrayConfig) -> int:
    """Return the segments of the activation memory; fewer only if it has fewer groups."""
    return min(ACTIVATION_SEGMENTS, config.activation_groups)


def read_latency(config: ArrayConfig) -> int:
    """Return the cycles from a READ's request of a word to the word: the request's, two to read the group, one to keep
    it, and those of the multiplexer over its words."""
    return READ_DELAY + 3 + word_latency(config)


def start_delay(config: ArrayConfig) -> int:
    """Return the cycles that a COMPUTE waits for activations to settle, and so that no entry needs a weight before the
    codebook is copied.

    The search starts 2 cycles after the COMPUTE at the earliest; from there it takes 5 cycles to the first group, the
    levels of the quadtree to the first lane, the broadcast's latency to the queue, and 3 to the codebook.
    """
    first_use = 2 + 5 + lane_levels(config) + broadcast_latency(config) + ISSUE_LATENCY + ENTRY_LATENCY
    return max(SETTLE_CYCLES, COPY_CYCLES + 1 - first_use)
