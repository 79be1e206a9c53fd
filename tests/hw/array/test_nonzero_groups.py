"""The groups with a non-zero are walked in order, and no other."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.nonzero_groups import nonzero_groups
from eie_hw.parts.array_interfaces import GroupSummary, share
from eie_hw.parts.interfaces import ComputeCommand, bit, vector

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=400 // 25 * 32)


@pytest.mark.parametrize("ready_rate", [1, 0.4])
def test_groups_come_once_in_order(ready_rate):
    generator = random.Random(ready_rate)
    groups = CONFIG.activation_groups
    group_bits = (groups - 1).bit_length()
    nonzero = [False] * groups
    reset, write, write_nonzero, start, valid, ready, finished = (bit() for _ in range(7))
    write_group, group = vector(group_bits), vector(group_bits)
    address, count = vector(16), vector(16)
    state = {"phase": "write", "left": groups, "walks": 0, "expected": [], "seen": [], "age": 0}
    lengths = []

    def drive(cycle):
        reset.next = cycle == 0
        write.next = start.next = False
        ready.next = generator.random() < ready_rate
        if state["phase"] == "write" and cycle:
            number = generator.randrange(groups)
            write.next, write_group.next = True, number
            nonzero[number] = generator.random() < 0.3
            write_nonzero.next = nonzero[number]
            state["left"] -= 1
            if state["left"] == 0:
                state["phase"] = "start"
        elif state["phase"] == "start":
            first = generator.randrange(groups)
            number = generator.randint(1, groups - first)
            address.next, count.next, start.next = first, number, True
            state.update(
                phase="walk",
                expected=[g for g in range(first, first + number) if nonzero[g]],
                seen=[],
                age=0,
                windows=(first + number - 1) // 16 - first // 16 + 1,
            )

    def look(cycle):
        if state["phase"] != "walk":
            return
        state["age"] += 1
        if valid and ready:
            state["seen"].append(int(group))
        if finished:
            assert state["seen"] == state["expected"]
            if ready_rate == 1:
                assert state["age"] <= 8 + state["windows"] + len(state["expected"])
            lengths.append(len(state["expected"]))
            state.update(phase="write", left=20)

    def build(clk):
        summary = share(GroupSummary(CONFIG), write=write, group=write_group, nonzero=write_nonzero)
        compute = share(ComputeCommand(), address=address, count=count)
        return nonzero_groups(clk, reset, summary, start, compute, valid, group, ready, finished, CONFIG)

    run_unit(build, drive, look, 1500)
    assert len(lengths) > 8
    assert max(lengths) > 10
