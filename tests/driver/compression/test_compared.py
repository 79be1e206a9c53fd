"""Networks that choose: how many of their results there are follows from values, and errors are measured before."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import eie
from eie.compression.compared import comparable, outputs_sqnr_db, pairs
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 8)).astype(np.float32)


def detector(batch=None):
    """Return two layers, whose positive outputs are chosen, and another output."""
    constants = {"w": RNG.standard_normal((8, 24)), "v": RNG.standard_normal((24, 40)), "zero": np.zeros(1)}
    constants = {name: x.astype(np.float32) for name, x in constants.items()} | {"flat": np.array([-1])}
    nodes = [
        Node("MatMul", ("x", "w"), ("m",), {}, "first"),
        Node("Relu", ("m",), ("r",)),
        Node("MatMul", ("r", "v"), ("scores",), {}, "second"),
        Node("Greater", ("scores", "zero"), ("is good",)),
        Node("Reshape", ("scores", "flat"), ("all",)),
        Node("Reshape", ("is good", "flat"), ("good",)),
        Node("Compress", ("all", "good"), ("chosen",), {"axis": 0}),
        Node("Neg", ("chosen",), ("y",)),
        Node("Tanh", ("m",), ("t",)),
    ]
    return Graph(nodes, [Value("x", "float32", (batch, 8))], [Value("y"), Value("t")], constants)


def test_what_is_chosen_from_stands_for_what_is_chosen():
    graph = comparable(detector())
    assert [value.name for value in graph.outputs] == ["t", "all", "good"]
    assert graph.nodes == detector().nodes


def test_a_network_that_chooses_nothing_stays_as_it_is():
    graph = detector()
    graph = Graph(graph.nodes, graph.inputs, graph.outputs[1:], graph.constants)
    assert comparable(graph) is graph


def chooses_nothing(model):
    return replace(model, graph=comparable(model.graph))


@pytest.mark.parametrize("batch", [1, None])
def test_it_is_compressed_and_its_error_is_that_of_the_scores(batch):
    graph = detector(batch)
    model = eie.compress(graph, 0.6, X)
    ratio = model.metadata["compression"]["end_sqnr_db"]
    want, found = (
        [compute({"x": x[None]}) for x in X]
        for compute in (partial(evaluate, comparable(graph)), partial(eie.reference, chooses_nothing(model)))
    )
    assert ratio == pytest.approx(outputs_sqnr_db(want, found), abs=0.1)
    assert eie.reference(model, X[:1])["y"].ndim == 1


def test_of_samples_those_of_one_shape_are_compared():
    given = [{"y": np.ones(3, np.float32), "n": np.ones(2, int)}, {"y": np.ones(2, np.float32), "n": np.ones(2, int)}]
    found = [{"y": np.ones(4, np.float32), "n": np.ones(2, int)}, {"y": np.full(2, 1.1), "n": np.ones(2, int)}]
    ((name, wanted, got),) = pairs(given, found)
    assert name == "y" and wanted.shape == got.shape == (2,)
    assert outputs_sqnr_db(given, found) == pytest.approx(20, abs=0.1)
    assert outputs_sqnr_db(given[:1], found[:1]) is None
