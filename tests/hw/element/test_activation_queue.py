"""The queue keeps order, loses nothing, and tells when it is full."""

import random
from collections import deque

import pytest
from unit_bench import run_unit

from eie_hw.element.activation_queue import activation_queue
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize(("slots", "high_water"), [(2, 1), (4, 4), (8, 5)])
@pytest.mark.parametrize("push_rate", [0.3, 0.9])
def test_items_leave_in_the_order_in_which_they_came(slots, high_water, push_rate):
    generator = random.Random(f"{slots} {push_rate}")
    reset, push, pop, valid, full = (bit() for _ in range(5))
    push_data, data = vector(12), vector(12)
    model: deque = deque()
    levels = set()

    def drive(cycle):
        reset.next = cycle in (0, 300)
        push.next = len(model) < slots and generator.random() < push_rate
        push_data.next = generator.getrandbits(12)
        pop.next = bool(model) and generator.random() < 0.6

    def look(cycle):
        assert valid == bool(model)
        assert full == (len(model) >= high_water)
        if model:
            assert data == model[0]
        levels.add(len(model))
        if pop:
            model.popleft()
        if push:
            model.append(int(push_data))
        if reset:
            model.clear()

    def build(clk):
        return activation_queue(clk, reset, push, push_data, pop, valid, data, full, slots, high_water)

    run_unit(build, drive, look, 600)
    assert levels == set(range(slots + 1)) or push_rate < 0.5
