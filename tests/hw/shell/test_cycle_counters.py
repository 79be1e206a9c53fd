"""The machine's counters: cycles of COMPUTEs from start to done, broadcasts, busy and stalled cycles."""

import random

from unit_bench import run_unit

from eie.contract.registers import WIDE_COUNTERS
from eie_hw.parts.interfaces import WideCounters, bit
from eie_hw.shell.cycle_counters import cycle_counters


def test_each_counts_its_own_cycles_until_it_is_cleared():
    generator = random.Random(3)
    reset, clear, start, done, broadcast, idle, stalled = (bit() for _ in range(7))
    counters = WideCounters()
    expected = dict.fromkeys(WIDE_COUNTERS, 0)
    state = {"left": 0, "computes": 0, "clears": 0}

    def drive(cycle):
        reset.next = cycle == 0
        clear.next = cycle > 0 and generator.random() < 0.01
        start.next = done.next = False
        if state["left"] == 0 and cycle and generator.random() < 0.3:
            start.next = True
            state["left"] = generator.randrange(1, 12)
            state["computes"] += 1
        elif state["left"]:
            state["left"] -= 1
            done.next = state["left"] == 0
        broadcast.next, idle.next, stalled.next = (generator.random() < 0.5 for _ in range(3))

    def look(cycle):
        if cycle:
            assert {name: int(getattr(counters, name)) for name in WIDE_COUNTERS} == expected
        events = {
            "cycles": start or done or state["left"],
            "broadcasts": broadcast,
            "busy": not idle,
            "stalled": stalled,
        }
        for name, event in events.items():
            expected[name] = 0 if reset or clear else expected[name] + bool(event)
        state["clears"] += bool(clear)

    def build(clk):
        return cycle_counters(clk, reset, clear, start, done, broadcast, idle, stalled, counters)

    run_unit(build, drive, look, 800)
    assert state["computes"] > 40
    assert state["clears"] > 2
    assert set(WIDE_COUNTERS) == set(expected) == {"cycles", "broadcasts", "busy", "stalled"}
