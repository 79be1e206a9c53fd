"""The register slice loses, repeats and reorders nothing; what is offered holds; no path goes through it."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.register_slice import register_slice


@pytest.mark.parametrize("source_rate", [1, 0.4])
@pytest.mark.parametrize("sink_rate", [1, 0.4])
def test_every_word_passes_once_and_in_order(source_rate, sink_rate):
    generator = random.Random(f"{source_rate} {sink_rate}")
    reset, source_valid, source_ready, sink_valid, sink_ready = (bit() for _ in range(5))
    source, sink = vector(16), vector(16)
    sent, received, times = [], [], []
    state = {"taken": True, "stalled": None}

    def drive(cycle):
        reset.next = cycle == 0
        if state["taken"]:
            source_valid.next = cycle > 1 and generator.random() < source_rate
            source.next = generator.getrandbits(16)
        sink_ready.next = generator.random() < sink_rate

    def look(cycle):
        if cycle < 2:
            return
        state["taken"] = bool(source_ready or not source_valid)
        if source_valid and source_ready:
            sent.append(int(source))
        assert state["stalled"] is None or (sink_valid and sink == state["stalled"])
        state["stalled"] = int(sink) if sink_valid and not sink_ready else None
        if sink_valid and sink_ready:
            received.append(int(sink))
            times.append(cycle)
        held = len(sent) - len(received)
        assert 0 <= held <= 2

    def build(clk):
        return register_slice(clk, reset, source_valid, source, source_ready, sink_valid, sink, sink_ready)

    run_unit(build, drive, look, 400)
    assert received == sent[: len(received)]
    assert len(received) > 100 * source_rate * sink_rate
    if source_rate == sink_rate == 1:
        assert times == list(range(times[0], times[0] + len(times)))
        assert len(times) > 390


def test_a_reset_drops_what_is_held():
    reset, source_valid, source_ready, sink_valid, sink_ready = (bit() for _ in range(5))
    source, sink = vector(16), vector(16)
    seen = []

    def drive(cycle):
        reset.next = cycle in (0, 10)
        source_valid.next = 2 <= cycle < 8
        source.next = cycle
        sink_ready.next = False

    def look(cycle):
        seen.append((bool(sink_valid), bool(source_ready)))

    def build(clk):
        return register_slice(clk, reset, source_valid, source, source_ready, sink_valid, sink, sink_ready)

    run_unit(build, drive, look, 14)
    assert seen[9] == (True, False), "two words are held"
    assert seen[11] == (False, False), "in reset it takes none"
    assert seen[12:] == [(False, True)] * 2
