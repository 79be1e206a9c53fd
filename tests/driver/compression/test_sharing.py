"""Weight sharing finds the best 15 values and gives every weight the nearest."""

import sys
from itertools import combinations

import kmeans1d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression import sharing
from eie.compression.sharing import share
from eie.errors import MissingExtraError, NetworkError


def squared_error(values, centroids, codes):
    return float(np.sum((values.astype(np.float64) - centroids[codes]) ** 2))


def least_squared_error(values, clusters):
    """Every way to cut the sorted values into ranges."""
    ordered = np.sort(values.astype(np.float64))

    def cost(cuts):
        parts = np.split(ordered, cuts)
        return sum(float(np.sum((p - p.mean()) ** 2)) for p in parts)

    return min(cost(list(cuts)) for cuts in combinations(range(1, len(ordered)), clusters - 1))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=16, max_size=18, unique=True))
def test_kmeans_reaches_the_least_squared_error_of_all_partitions(values):
    values = np.array(values, np.float32)
    best = least_squared_error(values, 15)
    assert squared_error(values, *share(values)) <= best * (1 + 1e-6) + 1e-6 * float(np.abs(values).max()) ** 2 * 1e-6


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80),
    st.sampled_from(["kmeans", "linear"]),
)
def test_codes_are_1_to_15_and_name_the_nearest_of_ascending_values(values, method):
    values = np.array(values, np.float32)
    centroids, codes = share(values, method)
    assert centroids.shape == (16,) and centroids[0] == 0
    assert codes.dtype == np.uint8 and codes.min() >= 1 and codes.max() <= 15
    used = centroids[1 : min(15, len(np.unique(values))) + 1]
    assert (np.diff(used) >= 0).all()
    distance = np.abs(values.astype(np.float64)[:, None] - used)
    chosen = np.abs(values - centroids[codes])
    assert (chosen <= distance.min(axis=1) + 1e-9 * np.abs(values).max()).all()


@pytest.mark.parametrize("method", ["kmeans", "linear"])
@pytest.mark.parametrize("distinct", [1, 2, 14, 15])
def test_up_to_15_distinct_weights_are_kept_as_they_are(method, distinct):
    rng = np.random.default_rng(distinct)
    values = rng.choice(rng.standard_normal(distinct).astype(np.float32), 1000)
    centroids, codes = share(values, method)
    assert np.array_equal(centroids[codes].astype(np.float32), values)
    assert (centroids[len(np.unique(values)) + 1 :] == 0).all()


def test_16_distinct_weights_are_shared_by_15_values():
    values = np.arange(16, dtype=np.float32) ** 2
    centroids, codes = share(values)
    assert len(np.unique(centroids[codes])) == 15
    assert centroids[codes[0]] == centroids[codes[1]] == 0.5


@pytest.mark.parametrize("method", ["kmeans", "linear"])
def test_a_shared_value_is_the_mean_of_its_weights(method):
    values = np.random.default_rng(1).standard_normal(50_000).astype(np.float32)
    centroids, codes = share(values, method)
    for code in range(1, 16):
        assert centroids[code] == pytest.approx(values[codes == code].mean(dtype=np.float64), rel=1e-9, abs=1e-12)


def test_many_weights_are_shared_as_well_as_by_the_exact_algorithm(monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.standard_normal(200_000).astype(np.float32)
    values = values[np.abs(values) > 1.5]
    exact = squared_error(values, *share(values))
    assert exact == pytest.approx(
        np.sum(
            (
                values
                - np.array(kmeans1d.cluster(values.tolist(), 15).centroids)[
                    kmeans1d.cluster(values.tolist(), 15).clusters
                ]
            )
            ** 2
        )
    )
    monkeypatch.setattr(sharing, "EXACT_LIMIT", 2000)
    assert exact <= squared_error(values, *share(values)) <= exact * 1.001


def test_kmeans_is_never_worse_than_linear():
    values = np.random.default_rng(3).laplace(size=20_000).astype(np.float32)
    assert squared_error(values, *share(values)) <= squared_error(values, *share(values, "linear"))


def test_neighbouring_floats_are_told_apart():
    values = np.float32(1) + np.arange(15, dtype=np.float32) * np.finfo(np.float32).eps
    values = np.append(values, np.float32(1000))
    centroids, codes = share(values)
    assert squared_error(values, centroids, codes) <= np.finfo(np.float32).eps ** 2
    assert codes[-1] == 15 and codes[-2] < 15


@pytest.mark.parametrize("method", ["kmeans", "linear"])
def test_shared_values_lie_among_their_weights_however_wide_the_range(method):
    values = np.append(1 + np.arange(40) / 100, [-1e17, 3e17]).astype(np.float32)
    centroids, codes = share(values, method)
    for code in np.unique(codes):
        assert values[codes == code].min() <= centroids[code] <= values[codes == code].max()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("without", [slice(0, 30), slice(-30, None), slice(0, 0)])
def test_weights_that_do_not_count_at_either_end_leave_the_shared_values_numbers(without):
    values = np.linspace(-1, 1, 200, dtype=np.float32)
    mass = np.ones(200)
    mass[without] = 0
    codebook, codes = share(values, "kmeans", mass)
    assert np.isfinite(codebook).all() and (np.diff(codebook[1:]) > 0).all()
    assert np.abs(codebook[codes] - values)[mass > 0].max() < 0.08


def test_a_layer_without_weights_has_an_empty_codebook():
    centroids, codes = share(np.zeros(0, np.float32))
    assert not centroids.any() and len(codes) == 0


def test_an_unknown_method_is_refused():
    with pytest.raises(NetworkError, match="'random'"):
        share(np.ones(3, np.float32), "random")


def test_a_missing_kmeans1d_names_the_extra_but_is_not_needed_otherwise(monkeypatch):
    monkeypatch.setitem(sys.modules, "kmeans1d", None)
    values = np.arange(100, dtype=np.float32)
    with pytest.raises(MissingExtraError, match=r"eie-pynq\[compress\]"):
        share(values)
    assert share(values, "linear")[1].max() == 15
    assert share(values % 15)[1].max() == 15
