"""Magnitude pruning keeps exactly what was asked for."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.pruning import keep_count, keep_largest

RNG = np.random.default_rng(0)


@st.composite
def layer_lists(draw):
    """Layers of few distinct values, so that ties and zeros are common."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3))
    return [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]


def expected(weights, keep):
    """The flat positions to keep: by falling magnitude, then by position; never a zero."""
    flat = np.concatenate([np.abs(w).ravel() for w in weights])
    order = np.argsort(-flat, kind="stable")[:keep]
    mask = np.zeros(len(flat), bool)
    mask[order[flat[order] > 0]] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(layer_lists(), st.floats(0.01, 1.0))
def test_the_largest_weights_of_all_layers_together_are_kept_and_ties_go_to_the_earlier(weights, density):
    want = expected(weights, round(density * sum(w.size for w in weights)))
    masks = keep_largest(weights, density)
    assert np.array_equal(np.concatenate([m.ravel() for m in masks]), want)


def test_the_count_is_exact_over_several_blocks_with_ties_everywhere():
    weight = np.where(RNG.random((2100, 4001)) < 0.5, 1, -1).astype(np.float32)
    keep = round(0.37 * weight.size)
    (mask,) = keep_count([weight], keep)
    assert mask.sum() == keep
    assert mask.ravel()[:keep].all()
