"""Magnitude pruning keeps exactly what was asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.pruning import prune
from eie.errors import NetworkError

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
@given(layer_lists(), st.floats(0.3, 1.0))
def test_each_layer_keeps_its_largest_weights_and_ties_go_to_the_earlier(weights, density):
    if any(w.any() and round(density * w.size) == 0 for w in weights):
        return
    for weight, mask in zip(weights, prune(weights, density), strict=True):
        assert np.array_equal(mask.ravel(), expected([weight], round(density * weight.size)))


@settings(max_examples=60, deadline=None)
@given(layer_lists(), st.floats(0.3, 1.0))
def test_global_scope_keeps_the_largest_weights_of_all_layers_together(weights, density):
    want = expected(weights, round(density * sum(w.size for w in weights)))
    edges = np.cumsum([w.size for w in weights])[:-1]
    if any(w.any() and not part.any() for w, part in zip(weights, np.split(want, edges), strict=True)):
        with pytest.raises(NetworkError, match="keeps none"):
            prune(weights, density, "global")
        return
    masks = prune(weights, density, "global")
    assert np.array_equal(np.concatenate([m.ravel() for m in masks]), want)


def test_the_count_is_exact_over_several_blocks_with_ties_everywhere():
    weight = np.where(RNG.random((2100, 4001)) < 0.5, 1, -1).astype(np.float32)
    (mask,) = prune([weight], 0.37)
    keep = round(0.37 * weight.size)
    assert mask.sum() == keep
    assert mask.ravel()[:keep].all()


def test_density_none_keeps_just_the_nonzeros():
    weight = RNG.standard_normal((20, 30)).astype(np.float32) * (RNG.random((20, 30)) < 0.2)
    assert np.array_equal(prune([weight], None)[0], weight != 0)
    assert np.array_equal(prune([weight], None, "global")[0], weight != 0)


def test_every_layer_can_have_its_own_density():
    weights = [RNG.standard_normal((10, 10)).astype(np.float32) for _ in range(3)]
    assert [int(m.sum()) for m in prune(weights, [0.1, None, 0.5])] == [10, 100, 50]


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan"), "0.5", True, [0.5], [0.5, 2.0], [0.5, "x"]])
def test_an_impossible_density_is_refused(density):
    with pytest.raises(NetworkError, match="density"):
        prune([np.ones((4, 4), np.float32)] * 2, density)


def test_a_density_that_empties_a_layer_is_refused_by_name():
    weights = [np.full((4, 4), 1e-3, np.float32), np.ones((4, 4), np.float32)]
    with pytest.raises(NetworkError, match="'second'"):
        prune([weights[0]] * 2, [0.5, 0.01], names=["first", "second"])
    with pytest.raises(NetworkError, match=r"'first'.*scope=\"layer\""):
        prune(weights, 0.25, "global", names=["first", "second"])


def test_an_unknown_scope_and_a_global_list_are_refused():
    with pytest.raises(NetworkError, match="'row'"):
        prune([np.ones((2, 2), np.float32)], 0.5, "row")
    with pytest.raises(NetworkError, match="global"):
        prune([np.ones((2, 2), np.float32)], [0.5], "global")
