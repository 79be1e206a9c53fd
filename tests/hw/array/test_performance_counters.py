"""The small counters of all PEs are widened without losing an event."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.registers import PE_COUNTERS
from eie_hw.array.performance_counters import performance_counters
from eie_hw.element.element_counters import count_bits
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize("num_pes", [1, 4, 8])
def test_counters_read_what_was_counted(num_pes):
    config = ArrayConfig(num_pes=num_pes, entries=64, pointers=32, rows=8, activations=64)
    generator = random.Random(num_pes)
    bits = count_bits(config)
    totals = [[0, 0, 0] for _ in range(num_pes)]
    clusters = config.words_per_group
    reset, computing, enable, ready = (bit() for _ in range(4))
    visit, counts = vector((num_pes - 1).bit_length()), vector(3 * bits * clusters)
    pe, select, value = vector(8), vector(2), vector(32)
    state = {"cycles": 0, "answered": False, "visited": 0}
    questions = [(p, s) for p in range(num_pes) for s in range(4)]
    answers = []

    def drive(cycle):
        reset.next = cycle in (0, 40)
        busy = cycle < 400
        computing.next = busy
        # The clusters' own multiplexer and register.
        word = 0
        for cluster in range(clusters):
            counted = totals[cluster * 4 + state["visited"] % 4] if num_pes >= 4 else totals[0]
            word |= sum((n % (1 << bits)) << bits * i for i, n in enumerate(counted)) << 3 * bits * cluster
        counts.next = word
        state["visited"] = int(visit)
        if busy:
            for counted in totals:
                for i in range(3):
                    counted[i] += generator.random() < (0.9, 0.3, 0.1)[i]
        if cycle == 40:
            for counted in totals:
                counted[:] = [0, 0, 0]
        if cycle > 400 + 2 * num_pes:
            enable.next = bool(questions) and not state["answered"]
            if questions:
                pe.next, select.next = questions[0]

    def look(cycle):
        state["cycles"] = 0 if reset else state["cycles"] + bool(computing)
        state["answered"] = bool(ready)
        if ready:
            assert enable
            answers.append(int(value))
            questions.pop(0)

    def build(clk):
        return performance_counters(clk, reset, computing, visit, counts, enable, pe, select, ready, value, config)

    run_unit(build, drive, look, 400 + 120 * num_pes)
    assert not questions
    for p, (work, padding, blocked) in enumerate(totals):
        expected = {"work": work, "padding": padding, "starved": state["cycles"] - work - padding, "blocked": blocked}
        got = dict(zip(PE_COUNTERS, answers[4 * p : 4 * p + 4], strict=True))
        expected["starved"] %= 1 << 32
        assert got == expected, f"PE {p}"
