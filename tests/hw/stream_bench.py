"""Test benches for units with streams: a source and a sink with random pauses that check the handshake contract."""

from __future__ import annotations

import random

from myhdl import ResetSignal, Simulation, StopSimulation, always, block, delay, instance

from eie_hw.parts.interfaces import Stream, bit

FULL_KEEP = 0xFF


def make_reset() -> ResetSignal:
    return ResetSignal(1, active=1, isasync=False)


@block
def clock(clk):
    @always(delay(1))
    def tick():
        clk.next = not clk

    return tick


@block
def play_words(clk, reset, stream, words, pause, seed):
    """Offer (data, keep, last) words, with a pause before each with probability `pause`."""
    generator = random.Random(seed)

    @instance
    def drive():
        yield clk.negedge
        while reset:
            yield clk.negedge
        for data, keep, last in words:
            while generator.random() < pause:
                stream.valid.next = False
                yield clk.negedge
            stream.valid.next = True
            stream.data.next = data
            stream.keep.next = keep
            stream.last.next = last
            yield clk.posedge
            while not stream.ready:
                yield clk.posedge
            yield clk.negedge
        stream.valid.next = False

    return drive


@block
def take_words(clk, reset, stream, received, pause, seed):
    """Take words into the list `received`; fail if an offered word changes or vanishes before it is taken."""
    generator = random.Random(seed)

    @instance
    def drive():
        offered = None
        while True:
            yield clk.negedge
            stream.ready.next = generator.random() >= pause
            yield clk.posedge
            if reset:
                offered = None
                continue
            word = (int(stream.data), int(stream.keep), bool(stream.last)) if stream.valid else None
            assert offered is None or word == offered, f"word {offered} became {word} before it was taken"
            offered = word
            if stream.valid and stream.ready:
                received.append(word)
                offered = None

    return drive


@block
def finish_when(clk, condition, limit):
    """Stop the simulation when the condition holds; fail after `limit` cycles."""

    @instance
    def watch():
        for _ in range(limit):
            yield clk.posedge
            if condition():
                raise StopSimulation
        raise AssertionError(f"not finished after {limit} cycles")

    return watch


def run(*instances) -> None:
    simulation = Simulation(*instances)
    try:
        simulation.run(quiet=1)
    finally:
        simulation.quit()


@block
def release_reset(clk, reset, cycles=3):
    @instance
    def drive():
        for _ in range(cycles):
            yield clk.negedge
        reset.next = False

    return drive


def new_stream() -> Stream:
    return Stream()


__all__ = [
    "FULL_KEEP",
    "bit",
    "clock",
    "finish_when",
    "make_reset",
    "new_stream",
    "play_words",
    "release_reset",
    "run",
    "take_words",
]
