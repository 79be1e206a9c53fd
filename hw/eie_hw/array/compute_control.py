"""The course of a COMPUTE: when the walk over the activations may start, and when everything is accumulated."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, enum, intbv

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie_hw.parts.interfaces import bit


@block
def compute_control(clk, reset, start, done, walk, walked, busy, computing, config: ArrayConfig):
    """Start the walk over the activation groups; tell when the last entry is accumulated.

    **Ports**

    ========= === ===========================================================================
    start     in  a COMPUTE starts; at least 3 cycles after the last load of an activation that it reads
    done      out it is complete: its sums are visible to whatever starts in the next cycle
    walk      out start the walk
    walked    in  no non-zero activation remains to be broadcast
    busy      in  some PE had work 2 cycles ago
    computing out high from `start` to `done`: the cycles of the COMPUTE
    ========= === ===========================================================================

    **Timing**: `walk` comes 2 + `pipeline.start_delay` cycles after `start`. `done` comes 4 cycles after the last entry
    is issued, or broadcast latency + 4 after the last broadcast, whichever is later.
    """
    delay = pipeline.start_delay(config)
    flight = pipeline.broadcast_latency(config)
    state_type = enum("idle", "settle", "walking", "flight", "working")
    state = Signal(state_type.idle)
    timer = Signal(intbv(0, min=0, max=max(delay, flight) + 1))
    active = bit()

    @always(clk.posedge)
    def step():
        walk.next = False
        done.next = False
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
            if timer == 0:
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
