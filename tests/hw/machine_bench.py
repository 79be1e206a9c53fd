"""The whole machine in MyHDL's simulator: packets in, packets out, registers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from myhdl import StopSimulation, block, instance
from stream_bench import clock, play_words, run, take_words

from eie.contract.config import ArrayConfig
from eie_hw.parts.interfaces import AxiLite, Stream, bit
from eie_hw.shell.top import eie_top


@dataclass
class Machine:
    """Everything that happened."""

    packets: list[np.ndarray] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)
    cycles: int = 0


def words_of(packet: np.ndarray, keep_of_last: int = 0xFF) -> list[tuple[int, int, bool]]:
    """Return a packet's words of 64 bits."""
    words = [[int(w), 0xFF, False] for w in np.ascontiguousarray(packet).view("<u8")]
    words[-1][1:] = keep_of_last, True
    return [tuple(word) for word in words]


def play(config: ArrayConfig, array, script, pause=0.0, seed=0, limit=200_000) -> Machine:
    """Run a script on the machine and return what came out.

    `script(bench)` is a generator of steps: ("send", words), ("wait", condition), ("read", offset),
    ("write", offset, value), ("cycles", count). It may look at `bench.packets` and `bench.reads` as it goes.
    """
    bench = Machine()
    received: list = []
    run(_machine(config, array, script, bench, received, pause, seed, limit))
    return bench


def flits(words: list[tuple[int, int, bool]], together: int) -> list[tuple[int, int, bool]]:
    """Return words of 64 bits as the stream brings them: so many at once, or fewer at the end of a packet."""
    made: list[tuple[int, int, bool]] = []
    data = keep = count = 0
    for word, own_keep, last in words:
        data |= word << 64 * count
        keep |= own_keep << 8 * count
        count += 1
        if last or count == together:
            made.append((data, keep, last))
            data = keep = count = 0
    assert not count, "a flit is not full, and no packet ends in it"
    return made


def collect_packets(received: list[tuple[int, int, bool]]) -> list[np.ndarray]:
    packets, words = [], []
    for data, keep, last in received:
        assert keep == 0xFF
        words.append(data)
        if last:
            packets.append(np.array(words, "<u8").view(np.uint8))
            words = []
    return packets


@block
def _machine(config, array, script, bench, received, pause, seed, limit):
    aclk, aresetn, interrupt = bit(), bit(), bit()
    s_axis, m_axis, s_axi = Stream(config.stream_bits), Stream(), AxiLite()
    top = eie_top(
        aclk,
        aresetn,
        *(getattr(s_axis, name) for name in ("data", "keep", "last", "valid", "ready")),
        *(getattr(m_axis, name) for name in ("data", "keep", "last", "valid", "ready")),
        *vars(s_axi).values(),
        interrupt,
        config,
        array,
    )
    generator = random.Random(seed)
    outbox: list = []
    steps: Iterator = script(bench)
    bench.interrupt = lambda: bool(interrupt)
    bench.outbox = outbox
    halted = bit()

    @instance
    def send():
        yield aclk.posedge
        while True:
            yield aclk.negedge
            if not outbox or generator.random() < pause or not aresetn:
                s_axis.valid.next = False
                continue
            s_axis.valid.next = True
            s_axis.data.next, s_axis.keep.next, s_axis.last.next = outbox[0]
            yield aclk.posedge
            while not s_axis.ready and outbox:
                yield aclk.posedge
            if outbox:
                outbox.pop(0)

    @instance
    def count():
        seen = 0
        while True:
            yield aclk.posedge
            bench.cycles += 1
            if len(received) != seen:
                seen = len(received)
                bench.packets = collect_packets(received)
            assert bench.cycles < limit, f"not finished after {limit} cycles"

    @instance
    def operate():
        for _ in range(3):
            yield aclk.negedge
        aresetn.next = True
        for step in steps:
            yield aclk.negedge
            match step:
                case ("send", words):
                    outbox.extend(flits(words, config.flit_words))
                case ("drop",):
                    outbox.clear()
                    yield aclk.negedge
                    received.clear()
                case ("forget", count):
                    while count:
                        count -= received.pop(0)[2]
                    bench.packets = collect_packets(received)
                case ("wait", condition):
                    while not condition():
                        yield aclk.negedge
                case ("cycles", number):
                    for _ in range(number):
                        yield aclk.negedge
                case ("read", offset):
                    s_axi.araddr.next = offset
                    s_axi.arvalid.next = True
                    yield aclk.posedge
                    while not s_axi.arready:
                        yield aclk.posedge
                    yield aclk.negedge
                    s_axi.arvalid.next = False
                    while generator.random() < pause:
                        yield aclk.negedge
                    s_axi.rready.next = True
                    yield aclk.posedge
                    while not s_axi.rvalid:
                        yield aclk.posedge
                    assert s_axi.rresp == 0
                    bench.reads.append(int(s_axi.rdata))
                    yield aclk.negedge
                    s_axi.rready.next = False
                case ("write", offset, value):
                    yield from _write(aclk, s_axi, generator, offset, value)
        raise StopSimulation

    return (
        clock(aclk),
        top,
        send,
        take_words(aclk, halted, m_axis, received, pause, seed + 1),
        count,
        operate,
    )


def _write(clk, bus, generator, offset, value):
    """Write a register, address first, data first or both together."""
    order = generator.choice((("aw",), ("w",), ("aw", "w")))
    left = {"aw", "w"}
    for group in (order, tuple({"aw", "w"} - set(order))):
        if "aw" in group:
            bus.awaddr.next, bus.awvalid.next = offset, True
        if "w" in group:
            bus.wdata.next, bus.wstrb.next, bus.wvalid.next = value, 0xF, True
        while left & set(group):
            yield clk.posedge
            taken = {name for name in left if getattr(bus, f"{name}ready") and getattr(bus, f"{name}valid")}
            yield clk.negedge
            for name in taken:
                getattr(bus, f"{name}valid").next = False
            left -= taken
    bus.bready.next = True
    yield clk.posedge
    while not bus.bvalid:
        yield clk.posedge
    assert bus.bresp == 0
    yield clk.negedge
    bus.bready.next = False


__all__ = ["Machine", "play", "play_words", "words_of"]
