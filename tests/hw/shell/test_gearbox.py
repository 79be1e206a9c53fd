"""The gearbox cuts a payload into beats of any width from that of a word up."""

import random

import pytest
from myhdl import StopSimulation, instance
from stream_bench import bit, clock, run

from eie_hw.parts.interfaces import vector
from eie_hw.shell.gearbox import gearbox


def _cut(payloads, beat_bytes, pause, seed=0, word_bytes=8):
    """Return the beats of each payload; payloads are (bytes, narrow)."""
    clk, restart, narrow, word_there, word_valid, completes, beat_valid = (bit() for _ in range(7))
    word, beat = vector(8 * word_bytes), vector(8 * beat_bytes)
    generator = random.Random(seed)
    announced, beats = [], []
    unit = gearbox(clk, restart, narrow, word_there, word_valid, word, completes, beat_valid, beat, beat_bytes)

    @instance
    def drive():
        for payload, is_narrow in payloads:
            yield clk.negedge
            restart.next, narrow.next = True, is_narrow
            # A word may be there before: the payload's first, which waits, or another.
            word_there.next, word.next = generator.random() < 0.5, generator.getrandbits(8 * word_bytes)
            yield clk.negedge
            restart.next = word_there.next = False
            for at in range(0, len(payload), word_bytes):
                while generator.random() < pause:
                    yield clk.negedge
                word_valid.next = word_there.next = True
                word.next = int.from_bytes(payload[at : at + word_bytes], "little")
                yield clk.posedge
                announced.append(bool(completes))
                yield clk.negedge
                word_valid.next = word_there.next = False
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


WIDTHS = [
    *((8, beat_bytes) for beat_bytes in (8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 24, 27, 128)),
    *((16, beat_bytes) for beat_bytes in (16, 18, 20, 22, 24, 34)),
    *((32, beat_bytes) for beat_bytes in (32, 36, 40, 44, 68)),
]


@pytest.mark.parametrize(("word_bytes", "beat_bytes"), WIDTHS)
@pytest.mark.parametrize("pause", [0, 0.4])
def test_beats_are_the_payload_cut_in_order(word_bytes, beat_bytes, pause):
    generator = random.Random(beat_bytes)
    payloads, expected = [], []
    for count in (1, 2, 7, 8, 9):
        data = generator.randbytes(count * beat_bytes)
        payloads.append((data + bytes(-len(data) % word_bytes), False))
        expected += [int.from_bytes(data[i : i + beat_bytes], "little") for i in range(0, len(data), beat_bytes)]
        words = generator.randbytes(word_bytes * 3)
        payloads.append((words, True))
        expected += [int.from_bytes(words[i : i + word_bytes], "little") for i in range(0, len(words), word_bytes)]
    beats, announced = _cut(payloads, beat_bytes, pause, word_bytes=word_bytes)
    assert beats == expected
    assert sum(announced) == len(expected)
