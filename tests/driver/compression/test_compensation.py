"""Weights that stay make up for those that go, whatever the inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.compensation import compensate
from eie.compression.hessian import hessian, inverse_factor
from eie.compression.least_squares import least_squares
from eie.compression.obs import prune_rows
from eie.compression.sharing import share
from eie.compression.sweep import Sweep

EFFORTS = ("fast", "thorough")


@st.composite
def tasks(draw, shift=False):
    """A layer and its inputs: correlated, few or many, some constant or dead, some rows of no importance or zero."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.integers(1, 12)), draw(st.integers(1, 24))
    samples = draw(st.sampled_from([1, 2, 7, 30, 200]))
    rank = draw(st.integers(1, columns))
    x = rng.standard_normal((samples, rank)) @ rng.standard_normal((rank, columns)) + rng.standard_normal(columns)
    x[:, rng.random(columns) < draw(st.sampled_from([0, 0.3, 1]))] = draw(st.sampled_from([0.0, 0.7]))
    x = (x * draw(st.sampled_from([1e-15, 1.0, 1e12]))).astype(np.float32)
    weight = rng.standard_normal((rows, columns)).astype(np.float32)
    weight[rng.random(weight.shape) < draw(st.sampled_from([0, 0.5]))] = 0
    weight[rng.random(rows) < 0.2] = 0
    importance = np.where(rng.random(rows) < 0.2, 1e-3, 1.0)
    given_x = (x * 1.1).astype(np.float32) if shift else x
    return weight, least_squares(weight, None, given_x, x, importance)


def plain(weight, mask, sharing):
    """The weights of a mask as they are, sharing 15 values."""
    centroids, codes = share(weight[mask], sharing)
    kept = np.zeros(weight.shape)
    kept[mask] = centroids[codes]
    return kept


@settings(max_examples=150, deadline=None)
@given(tasks(), st.floats(0.05, 1), st.sampled_from(EFFORTS), st.sampled_from(["kmeans", "linear"]))
def test_compensation_is_never_worse_than_the_same_mask_without_it(case, density, effort, sharing):
    weight, task = case
    keep = max(1, round(density * weight.size))
    chosen = compensate(task, weight, keep, sharing, effort, lambda stage: None)
    assert np.count_nonzero(chosen.mask) == min(keep, np.count_nonzero(weight))
    assert not chosen.mask[weight == 0].any()
    assert np.array_equal(chosen.codes > 0, chosen.mask) and chosen.codes.max() <= 15
    assert np.isfinite(chosen.weight).all() and np.isfinite(chosen.centroids).all()
    shared = task.loss(chosen.centroids[chosen.codes])
    scale = task.loss(np.zeros(weight.shape))
    assert shared <= task.loss(plain(weight, chosen.mask, sharing)) * (1 + 1e-4) + 1e-6 * scale


@pytest.mark.parametrize("effort", EFFORTS)
def test_where_compensation_on_a_handful_of_inputs_would_lose_the_weights_stay_as_they_are(effort):
    rng = np.random.default_rng(1895)
    rows, columns, samples = int(rng.integers(1, 4)), int(rng.integers(2, 24)), int(rng.choice([2, 3, 7]))
    x = rng.standard_normal((samples, 1)) @ rng.standard_normal((1, columns))
    x = (x + 1 * rng.standard_normal((samples, columns))).astype(np.float32)
    weight = rng.standard_normal((rows, columns)).astype(np.float32)
    task = least_squares(weight, None, x, x, np.ones(rows))
    chosen = compensate(task, weight, weight.size, "linear", effort, lambda stage: None)
    assert task.loss(chosen.centroids[chosen.codes]) <= task.loss(plain(weight, chosen.mask, "linear")) * (1 + 1e-6)


@settings(max_examples=100, deadline=None)
@given(tasks(shift=True), st.sampled_from(EFFORTS))
def test_the_bias_keeps_the_mean_of_what_the_given_layer_puts_out(case, effort):
    weight, task = case
    chosen = compensate(task, weight, max(1, weight.size // 4), "linear", effort, lambda stage: None)
    x = task.inputs.astype(np.float64)
    wanted = (1.1 * x) @ weight.T.astype(np.float64)
    found = x @ chosen.centroids[chosen.codes].T + chosen.shared_bias
    size = np.abs(x).max() * np.abs(weight).sum(axis=1).max() + 1e-30
    assert np.abs(found.mean(axis=0) - wanted.mean(axis=0)).max() <= 1e-4 * size


@settings(max_examples=50, deadline=None)
@given(tasks(), st.floats(0.1, 1))
def test_rows_hold_the_least_squares_solution_for_their_mask(case, density):
    weight, task = case
    *_, (rows, loss) = prune_rows(task, max(1, round(density * weight.size)))
    matrix = task.hessian.matrix
    total = 0.0
    for r, row in enumerate(rows):
        target = matrix @ task.weight[r]
        best = np.linalg.solve(matrix[np.ix_(row.columns, row.columns)], target[row.columns])
        assert np.allclose(row.values, best, rtol=1e-5, atol=1e-6 * np.abs(task.weight).max())
        error = -task.weight[r].copy()
        error[row.columns] += row.values
        total += task.importance[r] * float(error @ matrix @ error)
    assert loss == pytest.approx(total, rel=1e-5, abs=1e-9 * float(np.abs(matrix).max()))


def test_exact_rows_lose_less_than_a_sweep_and_that_less_than_magnitude():
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((2000, 20)) @ rng.standard_normal((20, 60)) + rng.standard_normal((2000, 60))).astype(
        np.float32
    )
    weight = rng.standard_normal((30, 60)).astype(np.float32)
    task = least_squares(weight, None, x, x, np.ones(30))
    keep = weight.size // 5
    *_, (_, exact) = prune_rows(task, keep)
    swept, _ = Sweep(task).prune(keep)
    largest = np.where(np.abs(weight) >= np.sort(np.abs(weight), axis=None)[-keep], weight, 0)
    assert exact < task.loss(swept) < 0.9 * task.loss(largest)


def test_what_a_row_loses_is_regained_from_a_correlated_input():
    x = np.repeat(np.random.default_rng(0).standard_normal((50, 1)), 2, axis=1).astype(np.float32)
    task = least_squares(np.array([[1.0, 2.0]], np.float32), None, x, x, np.ones(1))
    for effort in EFFORTS:
        chosen = compensate(task, task.weight.astype(np.float32), 1, "linear", effort, lambda stage: None)
        assert chosen.weight[0].tolist() == pytest.approx([0, 3], rel=0.05)


def test_the_weights_of_constant_inputs_go_first_and_the_bias_takes_their_place():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 6)).astype(np.float32)
    x[:, [1, 4]] = 2.5
    weight = np.full((3, 6), 0.1, np.float32)
    weight[:, [1, 4]] = 9
    task = least_squares(weight, np.ones(3, np.float32), x, x, np.ones(3))
    for effort in EFFORTS:
        chosen = compensate(task, weight, 12, "linear", effort, lambda stage: None)
        assert not chosen.mask[:, [1, 4]].any() and chosen.mask.sum() == 12
        assert chosen.bias.tolist() == pytest.approx([1 + 2 * 9 * 2.5] * 3, rel=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_the_factor_is_upper_triangular_and_of_the_inverse(size, seed):
    root = np.random.default_rng(seed).standard_normal((size, size))
    matrix = root @ root.T + np.eye(size)
    factor = inverse_factor(matrix)
    assert np.array_equal(factor, np.triu(factor))
    assert np.allclose(factor.T @ factor @ matrix, np.eye(size), atol=1e-8)


def test_few_independent_inputs_are_trusted_less_than_many_or_correlated_ones():
    rng = np.random.default_rng(0)
    few, many = (
        hessian(rng.standard_normal((20, 100)).astype(np.float32)),
        hessian(rng.standard_normal((9000, 3)).astype(np.float32)),
    )
    line = hessian((rng.standard_normal((20, 1)) * np.ones(100)).astype(np.float32))
    assert few.trust < 0.2 and line.trust > 0.8
    sample = (few.matrix - np.eye(100) * few.damping) / few.trust
    assert np.linalg.norm(few.matrix - np.eye(100)) < np.linalg.norm(sample - np.eye(100)) / 4
    assert np.allclose(many.matrix, np.eye(3), atol=0.1)


@pytest.mark.parametrize("x", [np.zeros((4, 3)), np.full((1, 3), 1e20), np.full((9, 3), 0.1)])
def test_inputs_that_never_vary_leave_a_hessian_that_can_be_inverted(x):
    found = hessian(x.astype(np.float32))
    assert not found.varying.any()
    assert np.array_equal(found.matrix, np.eye(3) * found.damping) and found.damping > 0
