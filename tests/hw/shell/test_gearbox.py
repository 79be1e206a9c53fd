"""The gearbox cuts a payload into beats of any width from 8 bytes up."""

import random

import pytest
from myhdl import StopSimulation, instance
from stream_bench import bit, clock, run

from eie_hw.parts.interfaces import vector
from eie_hw.shell.gearbox import gearbox


def _cut(payloads, beat_bytes, pause, seed=0):
    """Return the beats of each payload; payloads are (bytes, narrow)."""
    clk, restart, narrow, word_valid, completes, beat_valid = (bit() for _ in range(6))
    word, beat = vector(64), vector(8 * beat_bytes)
    generator = random.Random(seed)
    announced, beats = [], []
    unit = gearbox(clk, restart, narrow, word_valid, word, completes, beat_valid, beat, beat_bytes)

    @instance
    def drive():
        for payload, is_narrow in payloads:
            yield clk.negedge
            restart.next, narrow.next = True, is_narrow
            yield clk.negedge
            restart.next = False
            for at in range(0, len(payload), 8):
                while generator.random() < pause:
                    yield clk.negedge
                word_valid.next = True
                word.next = int.from_bytes(payload[at : at + 8], "little")
                yield clk.posedge
                announced.append(bool(completes))
                yield clk.negedge
                word_valid.next = False
        yield clk.negedge
        raise StopSimulation

    @instance
    def collect():
        while True:
            yield clk.posedge
            if beat_valid:
                beats.append(int(beat))

    run(clock(clk), unit, drive, collect)
    return beats, announced


@pytest.mark.parametrize("beat_bytes", [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 24, 27, 128])
@pytest.mark.parametrize("pause", [0, 0.4])
def test_beats_are_the_payload_cut_in_order(beat_bytes, pause):
    generator = random.Random(beat_bytes)
    payloads, expected = [], []
    for count in (1, 2, 7, 8, 9):
        data = generator.randbytes(count * beat_bytes)
        payloads.append((data + bytes(-len(data) % 8), False))
        expected += [int.from_bytes(data[i : i + beat_bytes], "little") for i in range(0, len(data), beat_bytes)]
        words = generator.randbytes(8 * 3)
        payloads.append((words, True))
        expected += [int.from_bytes(words[i : i + 8], "little") for i in range(0, 24, 8)]
    beats, announced = _cut(payloads, beat_bytes, pause)
    assert beats == expected
    assert sum(announced) == len(expected)
