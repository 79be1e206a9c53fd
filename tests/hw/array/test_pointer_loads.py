"""Pointers of POINTERS reach every pair as they come; of LENGTHS, every PE gets the sums of its own lengths."""

import random

import numpy as np
import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.array.pointer_loads import pointer_loads
from eie_hw.parts.interfaces import LoadBus
from eie_hw.parts.load_interfaces import PointerData

CONFIGS = {
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64),
    "4 PEs": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32),
    "8 PEs, rows not carried": ArrayConfig(num_pes=8, entries=128, pointers=32, activations=64, first_row=False),
    "32 PEs": ArrayConfig(num_pes=32, entries=256, pointers=128, rows=8, activations=128),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_each_pe_gets_its_own_pointers(name):
    config = CONFIGS[name]
    generator = random.Random(name)
    load = LoadBus(config)
    pes, words = config.num_pes, config.length_words
    data = PointerData(config)
    clusters = data.of_even, data.of_odd
    todo: list = []
    before: dict = {"sums": np.zeros(8 * words, int)}
    seen = []

    def drive(cycle):
        load.pointer_write.next = load.length_write.next = False
        if not todo:
            pairs = generator.randrange(1, 6)
            todo.extend((i == 0, place) for i in range(pairs) for place in range(words))
        kind = generator.choice(("pointer", "length", "length", None))
        now = {"kind": kind, "data": generator.getrandbits(len(load.data))}
        if kind == "length":
            now["first"], now["place"] = todo.pop(0)
            load.first.next, load.pe.next, load.length_write.next = now["first"], now["place"], True
        elif kind == "pointer":
            load.pointer_write.next = True
            load.pe.next = generator.randrange(max(1, pes // 2))
        load.data.next = now["data"]
        before["last"], before["now"] = before.get("now"), now

    def look(cycle):
        last = before["last"]
        if not last or last["kind"] is None:
            return
        seen.append(last["kind"])
        if last["kind"] == "pointer":
            beat = last["data"] & (1 << 4 * config.pointer_bits) - 1
            assert all(data == beat << 4 * config.pointer_bits | beat for data in clusters)
            return
        own = before["sums"][8 * last["place"] :][:8]
        if last["first"]:
            own[:] = 0
        for i in range(4 * len(clusters)):
            even, odd = last["data"] >> 8 * i & 15, last["data"] >> 8 * i + 4 & 15
            low = 2 * config.pointer_bits * (i % 4)
            mask = (1 << config.pointer_bits) - 1
            assert clusters[i // 4] >> low & mask == own[i] % config.entries
            assert clusters[i // 4] >> low + config.pointer_bits & mask == (own[i] + even) % config.entries
            own[i] += even + odd

    run_unit(lambda clk: pointer_loads(clk, load, data, config), drive, look, 1500)
    assert set(seen) == {"pointer", "length"}
