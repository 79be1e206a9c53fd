"""The machine's counters count what the array and the control unit tell."""

import random

from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.pipeline import DRAIN_CYCLES
from eie.contract.registers import WIDE_COUNTERS
from eie_hw.parts.interfaces import Status, WideCounters, bit
from eie_hw.shell.cycle_counters import cycle_counters


def test_each_counts_its_own_cycles_until_it_is_cleared():
    generator = random.Random(3)
    reset, clear, idle, stalled = (bit() for _ in range(4))
    status = Status(ArrayConfig())
    counters = WideCounters()
    expected = dict.fromkeys(WIDE_COUNTERS, 0)
    state = {"clears": 0}

    def drive(cycle):
        reset.next = cycle == 0
        clear.next = cycle > 0 and generator.random() < 0.01
        for signal in (status.computing, status.broadcast, status.starting, status.drained, idle, stalled):
            signal.next = generator.random() < 0.5
        status.saturated.next = generator.randint(0, 16)

    def look(cycle):
        if cycle:
            assert {name: int(getattr(counters, name)) for name in WIDE_COUNTERS} == expected
        events = {
            "cycles": bool(status.computing),
            "broadcasts": bool(status.broadcast),
            "busy": not idle,
            "stalled": bool(stalled),
            "start": bool(status.starting),
            "drain": DRAIN_CYCLES * bool(status.drained),
            "saturated": int(status.saturated),
        }
        for name, event in events.items():
            expected[name] = 0 if reset or clear else expected[name] + event
        state["clears"] += bool(clear)

    def build(clk):
        return cycle_counters(clk, reset, clear, idle, stalled, status, counters)

    run_unit(build, drive, look, 800)
    assert state["clears"] > 2
    assert set(WIDE_COUNTERS) == set(expected)
