"""Graphs exported for one input at a time: opened to batches where nothing depends on that, left alone elsewhere."""

import numpy as np
import pytest

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
