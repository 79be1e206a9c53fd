"""Rows assigned to PEs: the same function in another order, and PEs with about the same work."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.program.balancing import assign_rows, balance
from eie.program.packing import pack
from tests.strategies import activations, models


def loads(counts, order, num_pes):
    """Non-zeros of each PE."""
    return np.bincount(np.arange(len(order)) % num_pes, weights=counts[order], minlength=num_pes)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=300), st.sampled_from((1, 2, 4, 16, 64)), st.integers(1, 4))
def test_every_row_has_one_place_and_no_pe_more_than_by_turns(values, num_pes, tiles):
    counts = np.array(values)
    step = -(-len(counts) // (tiles * num_pes)) * num_pes
    blocks = [min(step, len(counts) - first) for first in range(0, len(counts), step)]
    order = assign_rows(counts, blocks, num_pes)
    assert np.array_equal(np.sort(order), np.arange(len(counts)))
    for block in np.split(order, np.cumsum(blocks)[:-1]):
        descending = block[np.argsort(-counts[block], kind="stable")]
        by_turns = loads(counts, descending, num_pes).max()
        assert loads(counts, block, num_pes).max() <= max(by_turns, counts[block].sum() / num_pes + counts.max())


@pytest.mark.parametrize(("rows", "excess"), [(4096, 0.002), (1000, 0.02), (600, 0.04)])
def test_random_rows_are_balanced_far_better_than_by_turns(rows, excess):
    """600 rows on 64 PEs, 10 on some and 9 on others, are the hardest of the paper's layers."""
    counts = np.random.default_rng(0).binomial(4096, 0.1, rows)
    mean = counts.sum() / 64
    assert loads(counts, assign_rows(counts, [rows], 64), 64).max() < (1 + excess) * mean
    assert loads(counts, np.arange(rows), 64).max() > (1 + 1.5 * excess) * mean


def test_long_and_short_rows_are_dealt_to_all_row_tiles():
    counts = np.arange(1024)
    order = assign_rows(counts, [512, 256, 256], 16)
    means = [counts[block].mean() for block in np.split(order, [512, 768])]
    assert np.ptp(means) < 2


@settings(max_examples=30, deadline=None)
@given(models(), st.sampled_from((1, 4, 16)), st.integers(0, 2**32))
def test_a_balanced_model_is_the_same_function_in_another_order(model, num_pes, seed):
    ordered, places = balance(model, [[layer.rows] for layer in model.layers], num_pes)
    a = activations(model, 3, seed)
    assert np.array_equal(eie.reference(ordered, a)[:, places[-1]], eie.reference(model, a))
    for before, after in zip(model.layers, ordered.layers, strict=True):
        assert after.nonzeros == before.nonzeros


def test_a_balanced_layer_takes_fewer_cycles():
    rng = np.random.default_rng(0)
    density = np.where(rng.random(512) < 0.2, 0.3, 0.02)
    layer = eie.Layer.from_dense_codes(rng.random((512, 512)) < density[:, None], np.r_[0, np.ones(15, int)])
    config = eie.ArrayConfig(num_pes=16)
    a = np.ones(512, np.int16)
    (balanced,) = eie.cycles(layer, a, config)
    (by_turns,) = eie.cycles(layer, a, dataclasses.replace(config, balance_rows=False))
    assert balanced.useful == by_turns.useful
    assert balanced.cycles < 0.95 * by_turns.cycles


def test_balancing_can_be_turned_off():
    model = eie.Model([eie.Layer.from_dense_codes(np.eye(40, dtype=np.uint8), np.arange(16))])
    assert pack(model, eie.ArrayConfig(num_pes=4, balance_rows=False)).places == ()
