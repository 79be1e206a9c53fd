"""A COMPUTE walks once activations and codebook are there, and is done when the last entry is accumulated."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import pipeline
from eie_hw.array.compute_control import compute_control
from eie_hw.parts.interfaces import bit


@pytest.mark.parametrize("pes", [1, 4, 64])
def test_walk_and_done_come_in_their_cycles(pes):
    config = ArrayConfig(num_pes=pes)
    generator = random.Random(pes)
    reset, start, done, walk, walked, busy, computing = (bit() for _ in range(7))
    state: dict = {"since": None, "walks": 0, "dones": 0, "at": None, "resets": 0}
    delay, flight = pipeline.start_delay(config), pipeline.broadcast_latency(config)

    def drive(cycle):
        reset.next = cycle == 0 or (cycle > 50 and generator.random() < 0.003)
        start.next = False
        if state["since"] is None:
            walked.next, busy.next = True, False
            if cycle and generator.random() < 0.2:
                start.next = True
                # The walk takes some cycles, the work of the PEs some more from where the last lane arrives.
                state.update(since=0, length=generator.randrange(1, 30), work=generator.randrange(20))
        else:
            state["since"] += 1
            begun = state["since"] - 2 - delay
            walked.next = not 1 <= begun <= state["length"]
            # The PEs are busy until `work` cycles after the last broadcast has arrived.
            busy.next = flight < begun <= state["length"] + flight + state["work"]

    def look(cycle):
        if reset:
            state.update(since=None, resets=state["resets"] + 1)
            return
        since = state["since"]
        assert bool(computing) == (since is not None)
        begun = -1 if since is None else since - 2 - delay
        assert bool(walk) == (begun == 0)
        state["walks"] += bool(walk)
        # Two cycles after no lane is left and as many more as one is on its way; two after no PE is busy.
        expected = None if since is None else state["length"] + flight + max(4, state["work"] + 2)
        assert bool(done) == (since is not None and begun == expected)
        if done:
            state.update(since=None, dones=state["dones"] + 1)

    def build(clk):
        return compute_control(clk, reset, start, done, walk, walked, busy, computing, config)

    run_unit(build, drive, look, 2500)
    assert state["dones"] > 20
    assert state["resets"] > 2
