"""Every layer keeps as many weights as was asked for, or as serve the network best."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.allocation import LossCurve, given_counts, spread
from eie.errors import NetworkError

RNG = np.random.default_rng(0)
NAMES = ["first", "second", "third"]


def counts(weights, density, allocation="uniform"):
    return given_counts(weights, density, allocation, NAMES[: len(weights)])


def test_density_none_keeps_just_the_nonzeros():
    weight = RNG.standard_normal((20, 30)).astype(np.float32) * (RNG.random((20, 30)) < 0.2)
    assert counts([weight], None) == counts([weight], None, "magnitude") == [None]
    assert counts([weight], 1.0) == [np.count_nonzero(weight)]


def test_every_layer_can_have_its_own_density_by_place_or_name():
    weights = [RNG.standard_normal((10, 10)).astype(np.float32) for _ in range(3)]
    assert counts(weights, [0.1, None, 0.5]) == [10, None, 50]
    assert counts(weights, {"third": 0.5, "first": 0.1, "second": None}) == [10, None, 50]


def test_one_threshold_keeps_more_of_a_layer_of_large_weights():
    weights = [np.full((10, 10), 1, np.float32), np.full((10, 10), 2, np.float32)]
    assert counts(weights, 0.75, "magnitude") == [50, 100]


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan"), "0.5", True, [0.5], [0.5, 2.0], [0.5, "x"]])
def test_an_impossible_density_is_refused(density):
    with pytest.raises(NetworkError, match="density"):
        counts([np.ones((4, 4), np.float32)] * 2, density)


@pytest.mark.parametrize("density", [{"first": 0.5}, {"first": 0.5, "second": 0.5, "fourth": 0.5}])
def test_a_mapping_that_does_not_name_the_layers_is_refused(density):
    with pytest.raises(NetworkError, match="'first', 'second'"):
        counts([np.ones((4, 4), np.float32)] * 2, density)


def test_a_density_that_empties_a_layer_is_refused_by_name():
    weights = [np.full((4, 4), 1e-3, np.float32), np.ones((4, 4), np.float32)]
    with pytest.raises(NetworkError, match="'second'"):
        counts([weights[0]] * 2, [0.5, 0.01])
    with pytest.raises(NetworkError, match=r"'first'.*allocation=\"uniform\""):
        counts(weights, 0.25, "magnitude")
    with pytest.raises(NetworkError, match="one number"):
        counts(weights, [0.5, 0.5], "magnitude")


@st.composite
def curves(draw):
    """Convex curves, as a layer's loss is, of layers of any size and importance."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        size = draw(st.integers(1000, 50_000))
        steps = np.unique(np.geomspace(max(1, size // 50), size, 12).round())
        power = draw(st.floats(0.5, 3))
        losses = steps**-power - np.min(steps**-power)
        found.append(LossCurve(size, steps, draw(st.floats(1e-3, 1e3)) * losses))
    return found


@settings(max_examples=50, deadline=None)
@given(curves(), st.floats(0.05, 1))
def test_the_total_is_kept_and_no_exchange_of_weights_between_layers_helps(found, density):
    total = max(round(density * sum(c.size for c in found)), sum(int(c.counts[0]) for c in found))
    kept = spread(found, total)
    assert sum(kept) == total

    def loss(counts):
        return sum(float(c.loss(np.array([n], float))[0]) for c, n in zip(found, counts, strict=True))

    move = max(1, total // 20)
    for giver in range(len(found)):
        for taker in range(len(found)):
            moved = [n - move * (i == giver) + move * (i == taker) for i, n in enumerate(kept)]
            if giver != taker and all(c.counts[0] <= n <= c.counts[-1] for c, n in zip(found, moved, strict=True)):
                assert loss(kept) <= loss(moved) * 1.1 + 1e-12
