"""The course of a COMPUTE: when the walk over the activations may start, and when everything is accumulated."""

from __future__ import annotations

from eie import pipeline
from eie.config import ArrayConfig
from myhdl import Signal, always, always_comb, block, enum, intbv

from eie_hw.codebook import COPY_CYCLES
from eie_hw.interfaces import bit

LOAD_SETTLES = 8
"""Cycles to wait after an activation was loaded before it can be found."""


def start_delay(config: ArrayConfig) -> int:
    """Return the cycles to wait such that no entry needs a weight before the codebook is copied.

    The walk starts 2 cycles after `start` at the earliest; from there it takes 5 cycles to the first group, the
    levels of the quadtree to the first lane, the broadcast's latency to the queue, and 3 to the codebook.
    """
    first_use = 2 + 5 + pipeline.lane_levels(config) + pipeline.broadcast_latency(config) + 3
    return max(0, COPY_CYCLES + 1 - first_use)


@block
def compute_control(clk, reset, start, done, load, walk, walked, busy, computing, config: ArrayConfig):
    """Start the walk over the activation groups; tell when the last entry is accumulated.

    **Ports**

    ========= === ===========================================================================
    start     in  a COMPUTE starts
    done      out it is complete: its sums are visible to whatever starts in the next cycle
    load      in  an activation is being loaded (earlier in the program)
    walk      out start the walk
    walked    in  no non-zero activation remains to be broadcast
    busy      in  some PE had work 2 cycles ago
    computing out high from `start` to `done`: the cycles of the COMPUTE
    ========= === ===========================================================================

    **Timing**: `walk` comes 2 + start_delay cycles after `start`, later if an activation was loaded within the last
    LOAD_SETTLES cycles. `done` comes 4 cycles after the last entry is issued, or broadcast latency + 4 after the last
    broadcast, whichever is later.
    """
    delay = start_delay(config)
    flight = pipeline.broadcast_latency(config)
    state_type = enum("idle", "settle", "walking", "flight", "working")
    state = Signal(state_type.idle)
    timer = Signal(intbv(0, min=0, max=max(delay, flight) + 1))
    quiet = Signal(intbv(0, min=0, max=LOAD_SETTLES + 1))
    active = bit()

    @always(clk.posedge)
    def step():
        walk.next = False
        done.next = False
        if load:
            quiet.next = LOAD_SETTLES
        elif quiet != 0:
            quiet.next = quiet - 1
        if start:
            active.next = True
        elif done:
            active.next = False
        if timer != 0:
            timer.next = timer - 1

        if state == state_type.idle:
            if start:
                state.next = state_type.settle
                timer.next = delay
        elif state == state_type.settle:
            if timer == 0 and quiet == 0:
                walk.next = True
                state.next = state_type.walking
        elif state == state_type.walking:
            if walked and not walk:
                state.next = state_type.flight
                timer.next = flight
        elif state == state_type.flight:
            if timer == 0:
                state.next = state_type.working
        elif not busy:
            done.next = True
            state.next = state_type.idle

        if reset:
            state.next = state_type.idle
            active.next = False
            done.next = False
            walk.next = False

    @always_comb
    def output():
        computing.next = start or active

    return step, output
