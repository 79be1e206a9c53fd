"""Pointers of POINTERS reach every pair as they come; of LENGTHS, every PE gets the sums of its own lengths."""

import random

import numpy as np
import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.pointer_loads import pointer_loads
from eie_hw.parts.interfaces import LoadBus, vector

CONFIGS = {
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64),
    "4 PEs": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32),
    "8 PEs, rows not carried": ArrayConfig(num_pes=8, entries=128, pointers=32, activations=64, first_row=False),
    "32 PEs": ArrayConfig(num_pes=32, entries=256, pointers=128, rows=8, activations=128),
    "64 PEs, 128 bits": ArrayConfig(num_pes=64, entries=512, pointers=256, activations=256, stream_bits=128),
    "64 PEs, 256 bits": ArrayConfig(num_pes=64, entries=512, pointers=256, activations=256, stream_bits=256),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_each_pe_gets_its_own_pointers(name):
    config = CONFIGS[name]
    generator = random.Random(name)
    load = LoadBus(config)
    together = config.flit_words
    pes, places = config.num_pes, config.length_words // together
    at_once = 8 * together
    bits = config.pointer_bits
    data = vector(2 * at_once * bits)
    todo: list = []
    before: dict = {"sums": np.zeros(at_once * places, int)}
    seen = []

    def drive(cycle):
        load.pointer_write.next = load.length_write.next = False
        if not todo:
            pairs = generator.randrange(1, 6)
            todo.extend((i == 0, place) for i in range(pairs) for place in range(places))
        kind = generator.choice(("pointer", "length", "length", None))
        now = {"kind": kind, "data": generator.getrandbits(len(load.data))}
        if kind == "length":
            now["first"], now["place"] = todo.pop(0)
            load.first.next, load.pe.next, load.length_write.next = now["first"], now["place"], True
        elif kind == "pointer":
            load.pointer_write.next = True
            load.pe.next = generator.randrange(max(1, pes // 2 // together))
        load.data.next = now["data"]
        before["last"], before["now"] = before.get("now"), now

    def look(cycle):
        last = before["last"]
        if not last or last["kind"] is None:
            return
        seen.append(last["kind"])
        if last["kind"] == "pointer":
            # Pair i takes beat i, modulo the beats that come together.
            for pair in range(at_once // 2):
                beat = last["data"] >> 8 * config.beat_bytes * (pair % together)
                assert data[4 * bits * (pair + 1) : 4 * bits * pair] == beat & (1 << 4 * bits) - 1
            return
        own = before["sums"][at_once * last["place"] :][:at_once]
        if last["first"]:
            own[:] = 0
        for i in range(at_once):
            even, odd = last["data"] >> 8 * i & 15, last["data"] >> 8 * i + 4 & 15
            low = 2 * bits * i
            assert data[low + bits : low] == own[i] % config.entries
            assert data[low + 2 * bits : low + bits] == (own[i] + even) % config.entries
            own[i] += even + odd

    run_unit(lambda clk: pointer_loads(clk, load, data, config), drive, look, 1500)
    assert set(seen) == {"pointer", "length"}
