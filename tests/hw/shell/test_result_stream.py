"""A READ sends its groups in order, with TLAST where it is asked for, and never asks for what it cannot hold."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import pipeline
from eie_hw.parts.interfaces import ActivationRead, ReadCommand, Stream, bit
from eie_hw.shell.result_stream import result_stream

CONFIG = ArrayConfig(num_pes=8, entries=128, pointers=64, rows=8, activations=256)


@pytest.mark.parametrize("sink_rate", [1, 0.3])
def test_reads_come_back_to_back_whatever_the_sink_does(sink_rate):
    generator = random.Random(sink_rate)
    reset, empty = bit(), bit()
    command, memory, sink = ReadCommand(), ActivationRead(), Stream()
    latency = pipeline.read_latency(CONFIG)
    words = CONFIG.words_per_group
    asked: list = [None] * (latency - 1)
    expected, received = [], []
    state: dict = {"running": False, "reads": 0, "stalled": None, "outstanding": 0, "words": 0}

    def drive(cycle):
        reset.next = cycle == 0
        command.start.next = False
        if cycle > 2 and not state["running"] and state["reads"] < 25:
            group = generator.randrange(CONFIG.activation_groups)
            count = generator.randint(1, min(9, CONFIG.activation_groups - group))
            last = generator.random() < 0.5
            command.address.next, command.count.next, command.last.next = group, count, last
            command.start.next = True
            order = [(g, w) for g in range(group, group + count) for w in range(words)]
            expected.extend((place, last and place == order[-1]) for place in order)
            state.update(running=True, reads=state["reads"] + 1)
        sink.ready.next = generator.random() < sink_rate
        place = asked.pop(0)
        memory.valid.next = place is not None
        memory.data.next = 0 if place is None else place[0] << 20 | place[1]

    def look(cycle):
        if cycle < 2:
            asked.append(None)
            return
        asked.append((int(memory.group), int(memory.word)) if memory.enable else None)
        state["outstanding"] += bool(memory.enable)
        offered = (int(sink.data), bool(sink.last)) if sink.valid else None
        assert state["stalled"] is None or offered == state["stalled"]
        state["stalled"] = offered if sink.valid and not sink.ready else None
        if sink.valid and sink.ready:
            assert sink.keep == 0xFF
            received.append((divmod(offered[0], 1 << 20), offered[1]))
            state["outstanding"] -= 1
        # One more than the queue holds is in the output register.
        assert 0 <= state["outstanding"] <= pipeline.RESULT_QUEUE + 1
        if command.done:
            state["running"] = False
        state["empty"] = bool(empty)
        if empty and not state["running"] and not command.start:
            assert received == expected

    run_unit(lambda clk: result_stream(clk, reset, command, memory, sink, empty, CONFIG), drive, look, 2500)
    assert state["reads"] == 25
    assert received == expected
    assert state["empty"]
