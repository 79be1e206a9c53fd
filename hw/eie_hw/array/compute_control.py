"""The course of COMPUTEs: when the walk over the activations may start, and when everything is accumulated."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, enum, intbv, modbv

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie_hw.parts.array_interfaces import ColumnBus
from eie_hw.parts.interfaces import ComputeCommand, Status, bit


@block
def compute_control(
    clk,
    reset,
    compute: ComputeCommand,
    walk,
    tag,
    walker_ready,
    column: ColumnBus,
    searching,
    busy,
    status: Status,
    config: ArrayConfig,
):
    """Start the walks over the activation groups, one COMPUTE behind another; tell when the last entry is accumulated.

    Two COMPUTEs may be in progress: what belongs to one or the other has a tag, 0 and 1 in turn.

    **Ports**

    ============ === ===========================================================================
    compute          `start` in, while `ready`, 4 cycles or more after the last load of an activation that it reads;
                     `ready` out: the one started last has begun its walk, and its codebook is copied; `done` out: the
                     sums of the oldest one are visible to whatever starts in the next cycle
    walk         out start the walk
    tag          out of the COMPUTE started last, from the cycle after `start`
    walker_ready in  a walk may start
    column       in  what is broadcast; `oldest` is out: tag of the oldest COMPUTE that is not done
    searching    in  an activation of that COMPUTE remains to be broadcast
    busy         in  some PE had work of that COMPUTE 2 cycles ago
    status       out `computing`, `starting`, `drained`
    ============ === ===========================================================================

    **Timing**: `walk` comes 2 + `pipeline.start_delay` cycles after `start`, or the cycle after `walker_ready`. `ready`
    falls in the cycle after `start` and comes again in the cycle after `walk`, or `pipeline.COPY_CYCLES` after `start`,
    whichever is later. `done` comes 4 cycles after the last entry is issued, or broadcast latency + 4 after the last
    broadcast, or broadcast latency + 6 after the `done` before, whichever is latest.
    """
    delay = pipeline.start_delay(config)
    flight = pipeline.broadcast_latency(config)
    copy = pipeline.COPY_CYCLES - 2
    front_type = enum("free", "settle", "copy")
    back_type = enum("idle", "walking", "flight", "working")
    front, back = Signal(front_type.free), Signal(back_type.idle)
    settle_timer = Signal(intbv(0, min=0, max=delay + 1))
    copy_timer = Signal(intbv(0, min=0, max=copy + 1))
    flight_timer = Signal(intbv(0, min=0, max=flight + 1))
    started, walked, finished = (Signal(modbv(0)[2:]) for _ in range(3))
    looked_up, arriving, fed_0, fed_1 = (bit() for _ in range(4))

    @always(clk.posedge)
    def lead():
        walk.next = False
        if settle_timer != 0:
            settle_timer.next = settle_timer - 1
        if copy_timer != 0:
            copy_timer.next = copy_timer - 1
        if compute.start:
            started.next = started + 1
            tag.next = started[0]
            settle_timer.next = delay
            copy_timer.next = copy
            front.next = front_type.settle
            compute.ready.next = False
        elif front == front_type.settle:
            if settle_timer == 0 and walker_ready:
                walk.next = True
                walked.next = walked + 1
                front.next = front_type.copy
        elif front == front_type.copy and copy_timer == 0:
            front.next = front_type.free
            compute.ready.next = True
        if reset:
            front.next = front_type.free
            compute.ready.next = True
            walk.next = False
            started.next = 0
            walked.next = 0

    @always(clk.posedge)
    def follow():
        compute.done.next = False
        if flight_timer != 0:
            flight_timer.next = flight_timer - 1
        if back == back_type.idle:
            if walked != finished:
                back.next = back_type.walking
        elif back == back_type.walking:
            if not searching:
                back.next = back_type.flight
                flight_timer.next = flight
        elif back == back_type.flight:
            if flight_timer == 0:
                back.next = back_type.working
        elif not busy:
            compute.done.next = True
            finished.next = finished + 1
            back.next = back_type.idle
        if reset:
            back.next = back_type.idle
            compute.done.next = False
            finished.next = 0

    # Whether an activation of a COMPUTE has arrived in the queues: a column's tag is told with its activation.
    @always(clk.posedge)
    def feed():
        looked_up.next = column.valid
        arriving.next = looked_up
        if arriving and not column.tag:
            fed_0.next = True
        elif compute.done and column.oldest:
            fed_0.next = False
        if arriving and column.tag:
            fed_1.next = True
        elif compute.done and not column.oldest:
            fed_1.next = False
        if reset:
            looked_up.next = False
            arriving.next = False
            fed_0.next = False
            fed_1.next = False

    @always_comb
    def tell():
        column.oldest.next = finished[0]
        status.computing.next = compute.start or started != finished or compute.done
        status.starting.next = (compute.start or started != finished or compute.done) and not (fed_0 or fed_1)
        status.drained.next = compute.done and started == finished and (fed_0 or fed_1)

    return lead, follow, feed, tell
