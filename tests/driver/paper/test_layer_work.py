"""A workload costs what eie.cycles says; reads and slots are what a walk counts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import eie
from eie.cycle_model.layers import cycles
from eie.paper.layer_work import LayerWork
from eie.paper.machines import ablation_steps, best_machine, paper_machine, roomy
from tests.strategies import activations, layers

# Its one column of weights is among others that are not sent.
MARGINS = eie.Layer.from_dense_codes(np.pad([[3], [0], [5]], ((0, 0), (9, 20))), np.arange(16))


@settings(max_examples=20, deadline=None)
@given(layers(max_size=80), st.sampled_from((1, 4, 16)), st.booleans(), st.sampled_from((1, 8)), st.integers(0, 2**32))
@example(MARGINS, 1, False, 1, 0)
def test_cycles_and_entries_are_those_of_eie_cycles(layer, pes, best, queue_depth, seed):
    config = replace(best_machine() if best else paper_machine(), num_pes=pes)
    a = activations(eie.Model([layer]), 1, seed)
    workload = LayerWork(layer, a[0], config)
    (expected,) = cycles(layer, a, replace(roomy(config, layer), queue_depth=queue_depth))
    if layer.rows <= workload.config.rows * pes:
        assert workload.cycles(queue_depth) == expected.cycles
        assert workload.load_balance(queue_depth) == expected.load_balance
    else:  # row tiles, and a STORE after each
        assert workload.cycles(queue_depth) <= expected.cycles
    assert workload.entries == expected.work.sum() + expected.padding.sum()
    assert workload.products == expected.useful
    assert workload.word_reads(config.entries_per_word) == expected.word_reads.sum()


def test_a_column_reads_the_words_that_it_touches():
    # PE 0 has 3 entries in column 0, 2 in column 1 and 4 in column 3: at 0-2, 3-4, 5-8. Column 3 is not active.
    codes = np.zeros((8, 4), np.uint8)
    codes[:6:2, 0] = codes[:4:2, 1] = codes[::2, 3] = 1
    layer = eie.Layer.from_dense_codes(codes, np.arange(16))
    workload = LayerWork(layer, np.array([1, 1, 1, 0], np.int16), replace(paper_machine(), num_pes=2))
    assert [workload.word_reads(n) for n in (1, 2, 4, 8)] == [5, 4, 3, 2]
    every = LayerWork(layer, np.ones(4, np.int16), replace(paper_machine(), num_pes=2))
    assert [every.word_reads(n) for n in (1, 2, 4, 8)] == [9, 4 + 3, 3 + 2, 2 + 2]


def test_with_one_slot_every_column_waits_for_the_slowest_pe():
    rng = np.random.default_rng(0)
    layer = eie.Layer.from_dense_codes(rng.random((64, 100)) < 0.3, np.r_[0, np.ones(15, int)])
    workload = LayerWork(layer, np.ones(100, np.int16), replace(paper_machine(), num_pes=4))
    counts = np.array([layer.dense_codes()[pe::4].astype(bool).sum(axis=0) for pe in range(4)])
    assert workload.entries == counts.sum()  # no gap is longer than 15 rows
    # Each column: broadcast, then the most entries of any PE.
    expected = counts.sum() / (4 * (counts.max(axis=0) + 1).sum())
    assert workload.slot_load_balance(1) == pytest.approx(expected, rel=0.02)
    balances = [workload.slot_load_balance(depth) for depth in (1, 2, 4, 8, 256)]
    assert balances == sorted(balances)
    assert balances[-1] == pytest.approx(counts.sum() / (4 * counts.sum(axis=1).max()), rel=0.02)


def test_the_steps_lead_from_the_papers_machine_to_the_best_one_a_parameter_at_a_time():
    steps = [config for _, config in ablation_steps()]
    assert steps[0] == eie.ArrayConfig.paper() and steps[-1] == best_machine()
    for before, after in pairwise(steps):
        changed = [name for name, value in before.to_dict().items() if value != after.to_dict()[name]]
        assert len(changed) == 1
    default, best = eie.ArrayConfig().to_dict(), best_machine().to_dict()
    assert {n for n in default if default[n] != best[n]} <= {"num_pes", "entries", "pointers", "rows", "activations"}
