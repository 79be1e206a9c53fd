"""Set bits of one mask after another come in ascending order, one a cycle."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.array.leading_nonzero import leading_nonzero
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize(("levels", "width"), [(1, 4), (2, 8), (2, 16), (3, 32), (3, 64), (4, 128)])
@pytest.mark.parametrize("ready_rate", [1, 0.6])
@pytest.mark.parametrize("density", [0.02, 0.3, 1])
def test_every_set_bit_comes_once_in_order(levels, width, ready_rate, density):
    generator = random.Random(f"{width} {ready_rate} {density}")
    masks = [sum((generator.random() < density) << i for i in range(width)) for _ in range(600 // width + 6)]
    tags = [generator.getrandbits(1) for _ in masks]
    expected = [
        (tags[number] << 9 | number) << 2 * levels | i
        for number, mask in enumerate(masks)
        for i in range(width)
        if mask >> i & 1
    ]
    reset, mask_valid, mask_ready, bit_valid, bit_ready, tag, holding = (bit() for _ in range(7))
    mask, position, bit_position = vector(width), vector(10), vector(10 + 2 * levels)
    state = {"next": 0, "seen": [], "times": []}

    def drive(cycle):
        reset.next = cycle == 0
        number = state["next"]
        mask_valid.next = cycle > 1 and number < len(masks) and (ready_rate == 1 or generator.random() < 0.8)
        if number < len(masks):
            mask.next, position.next = masks[number], tags[number] << 9 | number
        bit_ready.next = generator.random() < ready_rate
        tag.next = generator.getrandbits(1)

    def look(cycle):
        if cycle > 1:
            inside = [e for e in expected[len(state["seen"]) :] if (e >> 2 * levels & 511) < state["next"]]
            assert bool(holding) == any(e >> 9 + 2 * levels == tag for e in inside)
        state["next"] += bool(mask_valid and mask_ready)
        if bit_valid and bit_ready and cycle > 1:
            state["seen"].append(int(bit_position))
            state["times"].append(cycle)

    def build(clk):
        return leading_nonzero(
            clk, reset, mask_valid, mask, position, mask_ready, bit_valid, bit_position, bit_ready, tag, holding
        )

    cycles = int((len(expected) + len(masks)) / ready_rate * 1.5) + 40
    run_unit(build, drive, look, cycles)
    assert state["seen"] == expected
    assert not holding
    if density == 1 and ready_rate == 1:
        assert state["times"][-1] - state["times"][0] == len(expected) - 1
