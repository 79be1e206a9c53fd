"""Graphs in torch: the same outputs as in numpy, and gradients that agree with those written by hand."""

import numpy as np
import pytest

from eie.errors import NetworkError
from eie.network.cells import CELLS
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.linear_maps import linear_nodes
from eie.network.operators import OPERATORS
from eie.network.operators.linear import Matrix

torch = pytest.importorskip("torch")

from eie.compression import torch_operators  # noqa: E402
from eie.compression.learner import CellLearner, Sequences  # noqa: E402
from eie.compression.recurrent import one_node  # noqa: E402
from eie.compression.torch_graph import TorchGraph  # noqa: E402
from eie.network.recurrent import GRU, LSTM  # noqa: E402

I64 = np.int64
SHAPE = (2, 3, 6, 5)
CASES = {
    "PRelu": [{}, np.float32(0.3)], "Clip": [{}, np.float32(-0.5), np.float32(0.4)],
    "Add": [{}, np.ones(5, np.float32)], "Sub": [{}, np.ones(5, np.float32)],
    "Mul": [{}, np.full((3, 1, 1), 2, np.float32)],
    "Div": [{}, np.full(5, 3, np.float32)], "Pow": [{}, np.float32(2)], "Min": [{}, np.zeros(5, np.float32)],
    "Max": [{}, np.zeros(5, np.float32)], "Sum": [{}, np.ones(5, np.float32), np.ones(5, np.float32)],
    "Mean": [{}, np.ones(5, np.float32)], "MatMul": [{}, np.arange(20, dtype=np.float32).reshape(5, 4)],
    "Einsum": [{"equation": "abcd,d->abc"}, np.arange(5, dtype=np.float32)],
    "MaxPool": [{"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [1, 2]}],
    "AveragePool": [{"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1], "ceil_mode": 1}],
    "RMSNormalization": [{}, np.ones(5, np.float32)], "LayerNormalization": [{"axis": -2}, np.ones((6, 5), np.float32)],
    "InstanceNormalization": [{}, np.ones(3, np.float32), np.ones(3, np.float32)],
    "BatchNormalization": [{}, *(np.array(v, np.float32) for v in ([1, 2, 3], [0, 1, 0], [0, 0, 1], [1, 2, 1]))],
    "Reshape": [{}, np.array([0, -1], I64)], "Squeeze": [{}, np.array([], I64)], "Unsqueeze": [{}, np.array([1], I64)],
    "Transpose": [{"perm": [0, 2, 3, 1]}], "Concat": [{"axis": 1}, np.ones((2, 1, 6, 5), np.float32)],
    "Split": [{"axis": 2, "num_outputs": 2}], "Slice": [{}, *(np.array([v], I64) for v in (4, 0, 2, -2))],
    "Gather": [{"axis": 2}, np.array([0, 5, 5], I64)], "GatherElements": [{"axis": 3}, np.zeros((2, 3, 6, 1), I64)],
    "GatherND": [{}, np.array([[0, 1], [1, 2]], I64)], "Expand": [{}, np.array([2, 2, 3, 6, 5], I64)],
    "Pad": [{}, np.array([0, 0, 1, 1, 0, 0, 2, 0], I64), np.float32(7)], "Tile": [{}, np.array([1, 2, 1, 1], I64)],
    "ReduceMean": [{"keepdims": 0}, np.array([2, 3], I64)], "Cast": [{"to": 1}], "Dropout": [{}],
    "CastLike": [{}, np.zeros(1, np.float32)], "DepthToSpace": None, "SpaceToDepth": None, "Where": None, "Gemm": None,
}  # fmt: skip
"""Attributes and further inputs; None: tried by itself."""
POSITIVE = ("Log", "Sqrt", "Pow")


def known():
    return sorted({*torch_operators.FUNCTIONS, *torch_operators.READING, *torch_operators.MOVING})


@pytest.mark.parametrize("name", [name for name in known() if CASES.get(name, ()) is not None])
def test_operators_compute_what_they_do_in_numpy_and_gradients_are_those_of_differences(name):
    attributes, *others = CASES.get(name) or [{}]
    attributes = OPERATORS[name].complete(attributes)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    x = np.abs(x) + 0.1 if name in POSITIVE else x

    def compute(array):
        return OPERATORS[name].run([array, *others], attributes)[0]

    node = Node(name, ("x", *(f"c{i}" for i in range(len(others)))), ("y",), attributes)
    tensor = torch.tensor(x, requires_grad=True)
    found = torch_operators.run(node, [tensor, *others])[0]
    want = compute(x)
    np.testing.assert_allclose(found.detach().numpy(), want, rtol=1e-5, atol=1e-5)
    weights = np.random.default_rng(1).standard_normal(want.shape).astype(np.float32)
    (gradient,) = torch.autograd.grad((found * torch.tensor(weights)).sum(), tensor)
    way = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    step = 1e-3
    ahead, behind = (np.sum(compute(x + s * way).astype(np.float64) * weights) for s in (step, -step))
    expected = (ahead - behind) / (2 * step)
    assert float((gradient.numpy() * way).sum()) == pytest.approx(expected, rel=0.03, abs=0.1)


@pytest.mark.parametrize("name, outputs", [("Floor", "Floor"), ("TopK", "TopK")])
def test_an_operator_without_a_gradient_is_named(name, outputs):
    others = [np.array([2], I64)] if name == "TopK" else []
    node = Node(name, ("x", *("k" for _ in others)), ("y",), OPERATORS[name].complete({}))
    with pytest.raises(NetworkError, match=outputs):
        torch_operators.run(node, [torch.zeros(3, 4), *others])


def test_what_gives_no_floats_is_computed_without_a_gradient():
    node = Node("Shape", ("x",), ("y",), OPERATORS["Shape"].complete({}))
    assert torch_operators.run(node, [torch.zeros(3, 4, requires_grad=True)])[0].tolist() == [3, 4]


def pairs_of(nodes):
    return {
        name: (
            torch.tensor(np.array(m.weight), requires_grad=True),
            torch.zeros(len(m.weight)) if m.bias is None else torch.tensor(np.array(m.bias)),
        )
        for linear in nodes.values()
        for name, m in zip(linear.names, linear.matrices, strict=True)
    }


CONVOLUTIONS = [
    ("Conv", (6, 2, 3, 2), {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1], "dilations": [1, 2]}),
    ("Conv", (5, 4, 3, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    ("ConvTranspose", (4, 3, 3, 2), {"group": 2, "strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0]}),
]


@pytest.mark.parametrize("operator, shape, attributes", CONVOLUTIONS)
def test_convolutions_have_the_weights_of_their_matrices(operator, shape, attributes):
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.standard_normal(shape).astype(np.float32),
        "b": rng.standard_normal(6 if operator != "Conv" else shape[0]).astype(np.float32),
    }
    graph = Graph([Node(operator, ("x", "w", "b"), ("y",), attributes)], [Value("x")], [Value("y")], constants)
    x = rng.standard_normal((2, 4, 7, 8)).astype(np.float32)
    nodes = linear_nodes(graph)
    found, inner = TorchGraph(graph, nodes, ())({"x": x}, pairs_of(nodes))
    np.testing.assert_allclose(found["y"].detach().numpy(), evaluate(graph, {"x": x})["y"], rtol=1e-4, atol=1e-4)
    assert list(inner) == ["y"]


@pytest.mark.parametrize("make, kind", [(LSTM, "lstm"), (GRU, "gru"), (GRU, "gru, reset before")])
def test_gradients_of_recurrent_layers_are_those_that_are_written_by_hand(make, kind):
    rng, hidden, columns = np.random.default_rng(0), 5, 3
    gates = (4 if make is LSTM else 3) * hidden
    weights = [rng.standard_normal((gates, n)).astype(np.float32) / 2 for n in (columns, hidden)]
    options = {} if make is LSTM else {"reset_after": kind == "gru"}
    graph = one_node(
        make(*weights, rng.standard_normal(gates).astype(np.float32), np.zeros(gates, np.float32), **options)
    )
    nodes = linear_nodes(graph)
    (linear,) = nodes.values()
    x = rng.standard_normal((4, 6, columns)).astype(np.float32)
    pairs = pairs_of(nodes)
    outputs, _ = TorchGraph(graph, nodes, ())({"x": x}, pairs)
    y = outputs["y"][:, :, 0]
    np.testing.assert_allclose(y.detach().numpy()[:, :, None], evaluate(graph, {"x": x})["y"], atol=1e-5)
    wanted = rng.standard_normal(y.shape).astype(np.float32)
    loss = (y - torch.tensor(wanted)).square().mean() / float(np.square(wanted).mean())
    found = torch.autograd.grad(loss, [pairs[name][0] for name in linear.names])
    states = np.zeros((4, len(CELLS[kind].states), hidden), np.float32)
    matrices = [Matrix(np.asarray(m.weight), m.bias) for m in linear.matrices]
    expected, _ = CellLearner(CELLS[kind], Sequences(x, states, wanted), matrices).gradients(
        [m.weight for m in matrices]
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-3, atol=1e-6)
