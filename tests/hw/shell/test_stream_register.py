"""The stream register loses, repeats and reorders nothing, and its outputs hold until they are taken."""

import random

import pytest
from stream_bench import bit, clock, finish_when, make_reset, new_stream, play_words, release_reset, run, take_words

from eie_hw.shell.stream_register import stream_register


def _words(count, seed):
    generator = random.Random(seed)
    return [(generator.getrandbits(64), generator.getrandbits(8), generator.random() < 0.2) for _ in range(count)]


def _pass(words, source_pause, sink_pause, seed=1):
    clk, reset = bit(), make_reset()
    source, sink = new_stream(), new_stream()
    received = []
    cycles = [0]

    def done():
        cycles[0] += 1
        return len(received) == len(words)

    run(
        clock(clk),
        release_reset(clk, reset),
        stream_register(clk, reset, source, sink),
        play_words(clk, reset, source, words, source_pause, seed),
        take_words(clk, reset, sink, received, sink_pause, seed + 1),
        finish_when(clk, done, 50 * len(words) + 100),
    )
    return received, cycles[0]


@pytest.mark.parametrize("source_pause", [0, 0.5, 0.9])
@pytest.mark.parametrize("sink_pause", [0, 0.5, 0.9])
def test_every_word_passes_once_and_in_order(source_pause, sink_pause):
    words = _words(150, seed=3)
    received, _ = _pass(words, source_pause, sink_pause)
    assert received == words


def test_a_word_passes_every_cycle():
    words = _words(100, seed=4)
    _, cycles = _pass(words, 0, 0)
    assert cycles <= len(words) + 8
