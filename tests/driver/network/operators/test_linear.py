"""Products with constant weights have the shapes that numpy's have, whatever the ranks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value


@st.composite
def products(draw):
    """Return data and weights that multiply, and whether the weights stand at the right; weights are one matrix."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    common, rows, columns = (draw(st.integers(1, 5)) for _ in range(3))
    of_data, of_weights, right = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.booleans())
    batch = tuple(draw(st.lists(st.integers(1, 3), min_size=max(0, of_data - 2), max_size=max(0, of_data - 2))))
    ones = (1,) * max(0, of_weights - 2)
    left = (common,) if of_data == 1 else (*batch, rows, common)
    weights = (common,) if of_weights == 1 else (*ones, common, columns)
    if not right:
        left = (common,) if of_data == 1 else (*batch, common, rows)
        weights = (common,) if of_weights == 1 else (*ones, columns, common)
    return rng.standard_normal(left).astype(np.float32), rng.standard_normal(weights).astype(np.float32), right


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@settings(max_examples=60)
@given(products())
def test_a_product_on_the_array_has_the_shape_of_numpys(case):
    x, weights, right = case
    node = Node("MatMul", ("t", "w") if right else ("w", "t"), ("y",), {}, "product")
    graph = Graph([Node("Tanh", ("x",), ("t",)), node], [Value("x", "float32", x.shape)], [Value("y")], {"w": weights})
    want = np.tanh(x) @ weights if right else weights @ np.tanh(x)
    assert np.allclose(evaluate(graph, {"x": x})["y"], want, atol=1e-5)
    model = eie.compress(graph, 1.0, x, method="magnitude", sharing="linear", terms=2)
    got = eie.reference(model, {"x": x})
    assert np.shape(got) == np.shape(want)
    assert np.abs(got - want).max() <= 0.1 * (1 + np.abs(want).max())
