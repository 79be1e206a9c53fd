"""Matrices whose rows see different inputs are compensated group by group."""

import numpy as np
import pytest

import eie
from eie.compression.compensation import compensate
from eie.compression.groups import by_groups, held, is_compensated, spread_out, task_of
from eie.compression.hessian import Hessian
from eie.compression.least_squares import LeastSquares
from eie.compression.report import CompressionReport
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.operators.linear import Matrix

GROUPS, ROWS, COLUMNS = 5, 3, 8


def case(seed=0):
    rng = np.random.default_rng(seed)
    weight = np.zeros((GROUPS, ROWS, GROUPS, COLUMNS), np.float32)
    each = np.arange(GROUPS)
    weight[each, :, each] = rng.standard_normal((GROUPS, ROWS, COLUMNS))
    matrix = Matrix(weight.reshape(GROUPS * ROWS, -1), rng.standard_normal(GROUPS * ROWS), GROUPS)
    x = rng.standard_normal((300, GROUPS * COLUMNS)) @ rng.standard_normal((GROUPS * COLUMNS,) * 2) + 1
    return matrix, x.astype(np.float32)


def dense_twin(matrix, task):
    """Return the same task of the whole matrix, its Hessian that of the groups on the diagonal."""
    each, size = np.arange(GROUPS), matrix.weight.shape[1]
    whole = np.zeros((GROUPS, COLUMNS, GROUPS, COLUMNS))
    whole[each, :, each] = task.hessian.matrices
    hessian = Hessian(whole.reshape(size, size), task.hessian.means.ravel(), 1.0, 0.0)
    weight = np.zeros((GROUPS, ROWS, GROUPS, COLUMNS))
    weight[each, :, each] = task.weight.reshape(GROUPS, ROWS, COLUMNS)
    allowed = matrix.weight != 0
    return LeastSquares(weight.reshape(matrix.weight.shape), hessian, task.importance, allowed, task.inputs, task.bias)


@pytest.mark.parametrize("keep, terms, row_scales", [(None, 2, False), (60, 1, False), (60, 1, True), (90, 2, None)])
def test_groups_come_to_what_one_matrix_comes_to(keep, terms, row_scales):
    matrix, x = case()
    task = task_of(matrix, x + np.float32(0.1) * x**2, x, np.linspace(1, 2, GROUPS * ROWS), "auto")
    options = ("kmeans", "auto", lambda stage: None, terms, row_scales)
    found = spread_out(compensate(task, held(matrix, "auto"), keep, *options), matrix)
    twin = dense_twin(matrix, task)
    want = compensate(twin, matrix.weight, keep, *options)
    assert np.array_equal(found.mask, want.mask)
    assert twin.loss(found.shared) == pytest.approx(twin.loss(want.shared), rel=0.02)
    assert task.loss(_compact(found.shared)) == (pytest.approx(twin.loss(found.shared), rel=1e-4))
    assert task.damped_loss(_compact(found.shared)) == pytest.approx(twin.damped_loss(found.shared), rel=1e-6)
    np.testing.assert_allclose(task.bias_of(_compact(found.shared)), twin.bias_of(found.shared), rtol=1e-6, atol=1e-6)


def _compact(weight):
    each = np.arange(GROUPS)
    return weight.reshape(GROUPS, ROWS, GROUPS, COLUMNS)[each, :, each].reshape(GROUPS * ROWS, COLUMNS)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_wide_depthwise_convolutions_are_compensated():
    rng = np.random.default_rng(1)
    channels = 500  # 4,500 columns as one matrix
    w = rng.standard_normal((channels, 1, 3, 3)).astype(np.float32)
    attributes = {"pads": [1, 1, 1, 1], "group": channels}
    graph = Graph(
        [Node("Conv", ("x", "w"), ("y",), attributes)],
        [Value("x", "float32", ("batch", channels, 6, 6))],
        [Value("y")],
        {"w": w},
    )
    x = np.cumsum(rng.standard_normal((8, channels, 6, 6)), axis=3).astype(np.float32)
    sqnr = {}
    for method in ("compensated", "magnitude"):
        model = eie.compress(graph, 0.4, x, method=method)
        sqnr[method] = CompressionReport.from_dict(model.metadata["compression"]).output_sqnr_db
        want, got = evaluate(graph, {"x": x})["y"], eie.reference(model, x)
        assert sqnr[method] == pytest.approx(10 * np.log10(np.sum(want**2) / np.sum((want - got) ** 2)), abs=0.1)
    assert sqnr["compensated"] > sqnr["magnitude"] + 3


def test_groups_that_are_large_are_one_matrix():
    assert not by_groups(Matrix(np.zeros((4, 6), np.float32)), "auto")
    two = Matrix(np.zeros((256, 4800), np.float32), groups=2)
    assert not by_groups(two, "auto") and not is_compensated(two, "auto")
    assert not by_groups(case()[0], "fast") and held(case()[0], "fast").shape == (15, 40)
