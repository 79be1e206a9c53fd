"""Graphs exported for one input at a time: opened to batches where nothing depends on that, left alone elsewhere."""

import numpy as np
import pytest

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.graph_readers import read_graph

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w": RNG.standard_normal((2, 3, 1, 1)).astype(np.float32),
    "of_one": np.array([1, 2, -1]),
    "of_any": np.array([0, 2, -1]),
    "once": np.array([1, -1]),
    "zero": np.float32(0),
}


def graph(*nodes):
    shaped = [Node("Conv", ("x", "w"), ("c",)), *nodes]
    return Graph(shaped, [Value("x", "float32", (1, 3, 4, 4))], [Value("y")], CONSTANTS)


def test_a_graph_that_treats_inputs_alike_takes_any_batch():
    network = read_graph(graph(Node("Reshape", ("c", "of_any"), ("y",))))
    assert network.inputs[0].shape == ("batch", 3, 4, 4)
    x = RNG.standard_normal((3, 3, 4, 4)).astype(np.float32)
    alone = [evaluate(network, {"x": x[i : i + 1]})["y"] for i in range(3)]
    assert np.allclose(evaluate(network, {"x": x})["y"], np.concatenate(alone), rtol=1e-5)


@pytest.mark.parametrize(
    "nodes",
    [
        [Node("Reshape", ("c", "of_one"), ("y",))],  # gives (1, 2, 48) for three
        [Node("Mul", ("c", "zero"), ("m",)), Node("Reshape", ("m", "of_one"), ("y",))],
        [Node("Mul", ("c", "zero"), ("m",)), Node("ReduceMax", ("m",), ("y",), {"keepdims": 1})],  # (1, 1, 1, 1), of 0
        [Node("Softmax", ("c",), ("y",), {"axis": 0})],
    ],
)
def test_a_graph_that_mixes_a_batch_stays_as_it_is(nodes):
    assert read_graph(graph(*nodes)).inputs[0].shape == (1, 3, 4, 4)


STATE = {"w": CONSTANTS["w"].reshape(2, 3), "u": RNG.standard_normal((2, 2)).astype(np.float32), "first": np.array([1])}


def recurrent(*nodes):
    """A step of a network of sound: its state, whose batch lies behind, comes in and goes out."""
    step = [
        Node("Transpose", ("x",), ("t",), {"perm": [1, 0]}),
        Node("MatMul", ("w", "t"), ("a",)),
        Node("MatMul", ("u", "s"), ("b",)),
        Node("Add", ("a", "b"), ("sum",)),
        *nodes,
    ]
    inputs = [Value("x", "float32", (1, 3)), Value("s", "float32", (2, 1))]
    return Graph(step, inputs, [Value("sN", "float32", (2, 1)), Value("y", "float32", (1, 2))], STATE)


LAST = Node("Transpose", ("sN",), ("y",), {"perm": [1, 0]})


def test_states_may_have_their_batch_elsewhere():
    network = read_graph(recurrent(Node("Tanh", ("sum",), ("sN",)), LAST))
    assert [value.shape for value in network.inputs] == [("batch", 3), (2, "batch")]
    assert [value.shape for value in network.outputs] == [(2, "batch"), ("batch", 2)]
    x, s = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (2, 4)))
    together = evaluate(network, {"x": x, "s": s})
    for i in range(4):
        alone = evaluate(network, {"x": x[i : i + 1], "s": s[:, i : i + 1]})
        np.testing.assert_allclose(alone["y"], together["y"][i : i + 1], rtol=1e-5)


def test_several_inputs_that_depend_on_one_another_stay_as_they_are():
    network = read_graph(recurrent(Node("Softmax", ("sum",), ("sN",), {"axis": 1}), LAST))
    assert [value.shape for value in network.inputs] == [(1, 3), (2, 1)]


def test_a_network_of_a_fixed_batch_with_states_is_calibrated_by_sequences():
    network = recurrent(Node("Tanh", ("sum",), ("sN",)), LAST)
    x = RNG.standard_normal((12, 5, 3)).astype(np.float32)
    model = eie.compress(network, 1.0, {"x": x}, terms=2, states={"s": "sN"})
    assert [value.shape for value in model.graph.inputs] == [("batch", 3), (2, "batch")]


def test_sizes_of_one_name_that_differ_are_told():
    inputs = [Value("x", "float32", ("batch", 3)), Value("z", "float32", ("batch", 3))]
    network = Graph([Node("Add", ("x", "z"), ("y",))], inputs, [Value("y")])
    x = np.ones((4, 3), np.float32)
    with pytest.raises(NetworkError, match=r"given with shape \(2, 3\), which does not fit: batch is 4 elsewhere"):
        evaluate(network, {"x": x, "z": x[:2]})
