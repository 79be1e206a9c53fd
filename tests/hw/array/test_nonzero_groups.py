"""The groups with a non-zero are walked in order, and no other."""

import itertools
import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.nonzero_groups import nonzero_groups
from eie_hw.parts.array_interfaces import GroupSummary, share
from eie_hw.parts.interfaces import ComputeCommand, bit, vector

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=400 // 25 * 32)


@pytest.mark.parametrize("ready_rate", [1, 0.4])
def test_groups_come_once_in_order_one_walk_behind_another(ready_rate):
    generator = random.Random(ready_rate)
    groups = CONFIG.activation_groups
    group_bits = (groups - 1).bit_length()
    nonzero = [False] * groups
    reset, write, write_nonzero, start, tag, walk_ready, valid, ready, oldest, searching = (bit() for _ in range(10))
    write_group, group = vector(group_bits), vector(group_bits + 1)
    address, count = vector(16), vector(16)
    state = {"writes": groups, "left": 0, "tag": 0, "length": 0, "gaps": 0}
    # Walks that may still offer groups: (tag, groups to come), the oldest first.
    walks: list = []
    lengths, ages = [], []

    def drive(cycle):
        reset.next = cycle == 0
        write.next = start.next = False
        ready.next = generator.random() < ready_rate
        if state["writes"] and cycle and not walks:
            number = generator.randrange(groups)
            write.next, write_group.next = True, number
            nonzero[number] = generator.random() < 0.3
            write_nonzero.next = nonzero[number]
            state["writes"] -= 1
            state["left"] = 6
        elif not state["writes"] and len(walks) < 2 and walk_ready and generator.random() < 0.8:
            first = generator.randrange(groups)
            number = generator.randint(1, groups - first)
            address.next, count.next, start.next, tag.next = first, number, True, state["tag"]
            expected = [g for g in range(first, first + number) if nonzero[g]]
            walks.append((state["tag"], expected))
            lengths.append(len(expected))
            state["tag"] ^= 1
            state["left"] -= 1
            if state["left"] == 0:
                state["writes"] = 20
        oldest.next = walks[0][0] if walks else 0

    def look(cycle):
        if cycle == 0:
            return
        if valid and ready:
            number, expected = next((t, e) for t, e in walks if e)
            assert group == number << group_bits | expected.pop(0)
        if not searching and walks:
            assert not walks[0][1]
            ages.append(cycle)
            walks.pop(0)

    def build(clk):
        summary = share(GroupSummary(CONFIG), write=write, group=write_group, nonzero=write_nonzero)
        compute = share(ComputeCommand(), address=address, count=count)
        return nonzero_groups(
            clk, reset, summary, start, tag, compute, walk_ready, valid, group, ready, oldest, searching, CONFIG
        )

    run_unit(build, drive, look, 2500)
    assert len(ages) > 20
    assert max(lengths) > 10
    if ready_rate == 1:
        shortest = min(after - before for before, after in itertools.pairwise(ages))
        assert shortest < 5, "a walk begins while the one before is not over"
