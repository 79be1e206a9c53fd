"""COMPUTEs walk once activations and codebook are there, one behind another, and are done when all is accumulated."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import pipeline
from eie_hw.array.compute_control import compute_control
from eie_hw.parts.array_interfaces import ColumnBus
from eie_hw.parts.interfaces import ComputeCommand, Status, bit


@pytest.mark.parametrize("pes", [1, 4, 64])
def test_walk_ready_and_done_come_in_their_cycles(pes):
    config = ArrayConfig(num_pes=pes)
    generator = random.Random(pes)
    compute = ComputeCommand()
    reset, walk, tag, walker_ready, searching, busy = (bit() for _ in range(6))
    column, status = ColumnBus(config), Status(config)
    delay, flight = pipeline.start_delay(config), pipeline.broadcast_latency(config)
    # COMPUTEs in progress, the oldest first: tag, start, first cycle of the walk, of no search, of no work; cycle in
    # which an activation arrives.
    queue: list[dict] = []
    state: dict = {"tag": 0, "last_done": -99, "walker": 0, "offered": False}
    counts = {"walks": 0, "dones": 0, "together": 0, "resets": 0, "started": 0, "drained": 0}

    def drive(cycle):
        reset.next = cycle == 0 or (cycle > 50 and generator.random() < 0.003)
        may_start = compute.ready and not state["offered"]
        compute.start.next = state["offered"] = False
        alone = cycle // 200 % 2
        if cycle and may_start and len(queue) < 2 - alone and generator.random() < 0.4:
            compute.start.next = state["offered"] = True
        first = queue[0] if queue else None
        searching.next = bool(first) and first["walk"] is not None and cycle < first["found"]
        busy.next = bool(first) and first["walk"] is not None and cycle < first["worked"]
        walker_ready.next = cycle >= state["walker"]
        column.valid.next = any(cycle + pipeline.COLUMN_LATENCY == one.get("arrival") for one in queue)
        column.tag.next = any(one["tag"] for one in queue if one.get("arrival") == cycle)

    def look(cycle):
        if reset:
            queue.clear()
            state.update(tag=0, last_done=-99, walker=0)
            counts["resets"] += 1
            return
        if state["offered"]:
            queue.append({"tag": state["tag"], "start": cycle, "walk": None, "fed": False})
            state["tag"] ^= 1
        assert bool(status.computing) == bool(queue)
        starting = bool(queue) and not any(one["fed"] for one in queue)
        assert bool(status.starting) == starting
        counts["started"] += starting
        for one in queue:
            one["fed"] |= one.get("arrival") == cycle
        counts["together"] += len(queue) == 2
        waiting = queue[-1] if queue and queue[-1]["walk"] is None else None
        due = waiting and max(waiting["start"] + 2 + delay, state["walker"] + 1)
        assert bool(walk) == (due == cycle)
        if walk:
            counts["walks"] += 1
            assert tag == waiting["tag"]
            found = cycle + generator.randrange(1, 30)
            state["walker"] = generator.randrange(cycle + 2, found + 2)
            waiting.update(walk=cycle, found=found, worked=found + flight + generator.randrange(30))
            if generator.random() < 0.8:  # with the last activation found at the latest
                waiting["arrival"] = generator.randrange(cycle + 3, found + flight)
        if queue:
            assert compute.done or column.oldest == queue[0]["tag"]
            newest = queue[-1]
            free = newest["walk"] is not None and cycle > max(
                newest["walk"], newest["start"] + pipeline.COPY_CYCLES - 1
            )
            assert bool(compute.ready) == (free or newest["start"] == cycle)
        first = queue[0] if queue else None
        expected = None
        if first and first["walk"] is not None:
            begun = max(first["found"], first["walk"] + 1, state["last_done"] + 1)
            expected = max(begun + 2 + flight, first["worked"]) + 1
        assert bool(compute.done) == (expected == cycle)
        alone = [one["start"] for one in queue] == [first["start"]] if first else False
        drained = bool(compute.done) and first["fed"] and (alone or queue[1]["start"] == cycle)
        assert bool(status.drained) == drained
        counts["drained"] += drained
        if compute.done:
            queue.pop(0)
            state["last_done"] = cycle
            counts["dones"] += 1

    def build(clk):
        return compute_control(clk, reset, compute, walk, tag, walker_ready, column, searching, busy, status, config)

    run_unit(build, drive, look, 3000)
    assert counts["dones"] > 40
    assert counts["together"] > 100
    assert counts["resets"] > 2
    assert counts["started"] > 100
    assert counts["drained"] > 10
