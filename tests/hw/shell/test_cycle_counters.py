"""The machine's counters: cycles in which a COMPUTE is in progress, broadcasts, busy and stalled cycles."""

import random

from unit_bench import run_unit

from eie.contract.registers import WIDE_COUNTERS
from eie_hw.parts.interfaces import WideCounters, bit
from eie_hw.shell.cycle_counters import cycle_counters


def test_each_counts_its_own_cycles_until_it_is_cleared():
    generator = random.Random(3)
    reset, clear, computing, broadcast, idle, stalled = (bit() for _ in range(6))
    counters = WideCounters()
    expected = dict.fromkeys(WIDE_COUNTERS, 0)
    state = {"clears": 0}

    def drive(cycle):
        reset.next = cycle == 0
        clear.next = cycle > 0 and generator.random() < 0.01
        for signal in (computing, broadcast, idle, stalled):
            signal.next = generator.random() < 0.5

    def look(cycle):
        if cycle:
            assert {name: int(getattr(counters, name)) for name in WIDE_COUNTERS} == expected
        events = {
            "cycles": computing,
            "broadcasts": broadcast,
            "busy": not idle,
            "stalled": stalled,
        }
        for name, event in events.items():
            expected[name] = 0 if reset or clear else expected[name] + bool(event)
        state["clears"] += bool(clear)

    def build(clk):
        return cycle_counters(clk, reset, clear, computing, broadcast, idle, stalled, counters)

    run_unit(build, drive, look, 800)
    assert state["clears"] > 2
    assert set(WIDE_COUNTERS) == set(expected) == {"cycles", "broadcasts", "busy", "stalled"}
