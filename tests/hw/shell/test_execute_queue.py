"""Queued instructions run one at a time, in the order of their pushes, with the fields of their headers."""

import random

import pytest
from unit_bench import run_unit

from eie.contract import isa
from eie.contract.pipeline import EXECUTE_QUEUE
from eie_hw.parts.interfaces import (
    ComputeCommand,
    ElementwiseCommand,
    FormatCommand,
    ReadCommand,
    StoreCommand,
    bit,
    vector,
)
from eie_hw.shell.execute_queue import TICKET_BITS, execute_queue

QUEUED = (isa.COMPUTE, isa.STORE, isa.READ, isa.FORMAT, isa.ELEMENTWISE)


@pytest.mark.parametrize("push_rate", [1, 0.1])
def test_instructions_run_in_order_and_a_full_queue_takes_no_more(push_rate):
    generator = random.Random(push_rate)
    reset, push, full, empty, retire, hold = (bit() for _ in range(6))
    header, ticket, retired = vector(64), vector(TICKET_BITS), vector(TICKET_BITS)
    bundles = {
        isa.COMPUTE: ComputeCommand(),
        isa.STORE: StoreCommand(),
        isa.READ: ReadCommand(),
        isa.FORMAT: FormatCommand(),
        isa.ELEMENTWISE: ElementwiseCommand(),
    }
    waiting: list = []
    state: dict = {"running": None, "left": 0, "begun": 0, "fulls": 0, "resets": 0, "done": None}

    def drive(cycle):
        reset.next = cycle == 0 or (cycle > 200 and generator.random() < 0.005)
        hold.next = generator.random() < 0.2
        for bundle in bundles.values():
            bundle.done.next = False
        push.next = False
        if cycle > 2 and generator.random() < push_rate:
            instruction = generator.choice(QUEUED)
            values = {f.name: generator.getrandbits(f.width) for f in instruction.fields}
            header.next = instruction.encode(**values)
            state["offer"] = (instruction, values)
            push.next = len(waiting) + (state["running"] is not None) < EXECUTE_QUEUE
        if state["running"] is not None:
            state["left"] -= 1
            if state["left"] == 0:
                bundles[state["running"][0]].done.next = True
                state["done"] = state["running"]

    def look(cycle):
        if cycle < 2:
            return
        held = len(waiting) + (state["running"] is not None)
        assert bool(full) == (held == EXECUTE_QUEUE)
        assert bool(empty) == (held == 0)
        state["fulls"] += bool(full)
        starts = [instruction for instruction, bundle in bundles.items() if bundle.start]
        assert len(starts) <= 1
        for started in starts:
            # The head was taken in the cycle before, in which nothing ran.
            instruction, values, slot = waiting.pop(0)
            assert state["running"] is None
            assert started is instruction
            state.update(running=(instruction, values, slot), left=generator.randrange(1, 9), begun=state["begun"] + 1)
        if state["running"] is not None:
            instruction, values, _ = state["running"]
            bundle = bundles[instruction]
            assert {name: int(getattr(bundle, name)) for name in values} == values
        assert bool(retire) == (state["done"] is not None)
        if state["done"] is not None:
            assert retired == state["done"][2]
            state.update(done=None, running=None)
        if push:
            waiting.append((*state["offer"], int(ticket)))
        if reset:
            waiting.clear()
            state.update(running=None, done=None, left=0, resets=state["resets"] + 1)

    def build(clk):
        return execute_queue(clk, reset, push, header, full, empty, ticket, retire, retired, hold, *bundles.values())

    run_unit(build, drive, look, 1500)
    assert state["begun"] > 50
    assert state["resets"] > 1
    assert (state["fulls"] > 50) == (push_rate == 1)
