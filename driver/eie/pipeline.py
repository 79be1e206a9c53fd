"""Latencies of the array that its hardware and its cycle model must agree on, in clock cycles."""

from __future__ import annotations

from eie.config import ACTIVATIONS_PER_WORD, ArrayConfig

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


def broadcast_latency(config: ArrayConfig) -> int:
    """Return the cycles from the pick of a non-zero lane to the push into the PEs' queues: lane address, activation
    memory, then one register for every 4-way level of the multiplexer over words and lanes."""
    return 2 + quadtree_levels(config.lanes // ACTIVATIONS_PER_WORD) + 1


def hold_latency(config: ArrayConfig) -> int:
    """Return the columns that may still be pushed after the one that makes a queue full."""
    return broadcast_latency(config) + 2


def queue_slots(config: ArrayConfig) -> int:
    """Return the slots that a queue really has."""
    return max(SMALLEST_QUEUE, config.queue_depth)


def queue_high_water(config: ArrayConfig) -> int:
    """Return the number of waiting columns from which a PE holds the broadcast back.

    It is `queue_depth`, unless the columns that are still in flight would then not find a slot.
    """
    return min(config.queue_depth, queue_slots(config) - hold_latency(config))
