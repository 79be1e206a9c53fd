"""A PE counts its entries, its padding and the broadcasts that it held back, modulo a small power of two."""

import random

from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.element_counters import count_bits, element_counters
from eie_hw.parts.interfaces import bit, vector

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32)


def test_every_event_is_counted_once_and_a_reset_counts_from_zero():
    generator = random.Random(2)
    bits = count_bits(CONFIG)
    reset, valid, full, waiting = (bit() for _ in range(4))
    code, counts = vector(4), vector(3 * bits)
    expected = [0, 0, 0]
    fulls = [False] * 3
    most = [0, 0, 0]

    def drive(cycle):
        reset.next = cycle == 0 or generator.random() < 0.01
        valid.next = generator.random() < 0.7
        code.next = generator.choice((0, 0, 1, 15))
        full.next = generator.random() < 0.5
        waiting.next = generator.random() < 0.5

    def look(cycle):
        if cycle:
            assert counts == sum(count % (1 << bits) << bits * i for i, count in enumerate(expected))
        events = (valid and code != 0, valid and code == 0, waiting and fulls[0])
        for i, event in enumerate(events):
            expected[i] = 0 if reset else expected[i] + bool(event)
            most[i] = max(most[i], expected[i])
        fulls.append(bool(full))
        del fulls[0]

    run_unit(lambda clk: element_counters(clk, reset, valid, code, full, waiting, counts, CONFIG), drive, look, 1500)
    assert min(most) > 1 << bits, "each went round"
