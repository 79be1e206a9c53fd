"""Calibration of graphs whose batch is fixed: sample by sample, every layer for all of them."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings

import eie
from eie.compression.graphs import GraphJob
from eie.compression.recipe import Recipe
from eie.compression.samples import calibration_samples, in_samples
from eie.errors import NetworkError
from eie.network.evaluation import evaluate, evaluate_in_step
from eie.network.graph import Graph, Node, Value
from eie.network.graph_readers import read_graph
from eie.network.linear_maps import linear_nodes
from tests.driver.network.test_random_graphs import graphs

X = np.random.default_rng(0).standard_normal((24, 1, 6)).astype(np.float32)
"""Samples, batch, columns."""


def network(batch=1, hidden=8):
    """Return two layers whose inputs have a fixed batch, which the output has not, or one that is open (None)."""
    rng = np.random.default_rng(1)
    constants = {"w": rng.standard_normal((6, hidden)), "v": rng.standard_normal((hidden, 3))}
    nodes = [
        Node("MatMul", ("x", "w"), ("m",), {}, "first"),
        Node("Tanh", ("m",), ("n",)),
        Node("MatMul", ("n", "v"), ("y" if batch is None else "o",), {}, "second"),
    ]
    if batch is not None:
        nodes.append(Node("Reshape", ("o", "any"), ("y",)))
    constants = {name: x.astype(np.float32) for name, x in constants.items()}
    constants["any"] = np.array([-1])
    return Graph(nodes, [Value("x", "float32", (batch, 6))], [Value("y")], constants)


@pytest.mark.parametrize("given", [X, X[:, 0]], ids=["behind a further axis", "one behind the other"])
def test_several_inputs_of_a_fixed_batch_are_samples(given):
    samples = calibration_samples(network(), given)
    assert np.array_equal([sample["x"] for sample in samples], X)
    assert [sample["x"].shape for sample in calibration_samples(network(8), X[:, 0])] == [(8, 6)] * 3


def test_what_a_graph_takes_at_once_is_one_sample():
    assert [sample["x"].shape for sample in calibration_samples(network(None), X[:, 0])] == [(24, 6)]
    assert [sample["x"].shape for sample in calibration_samples(network(), X[0])] == [(1, 6)]


def test_an_input_that_is_given_once_goes_to_all_samples():
    graph = Graph(
        [Node("Mul", ("x", "s"), ("y",))],
        [Value("x", "float32", (1, 6)), Value("s", "float32", (1,))],
        [Value("y")],
        {},
    )
    samples = in_samples(graph, {"x": X, "s": np.ones(1, np.float32)})
    assert len(samples) == 24 and all(sample["s"] == 1 for sample in samples)


@pytest.mark.parametrize("shape", [(0, 6), (7, 5), (6,), (2, 3, 1, 6)])
def test_what_does_not_fit_is_refused_as_it_was_given(shape):
    with pytest.raises(NetworkError, match=f"is given with shape {re.escape(str(shape))}"):
        calibration_samples(network(), np.zeros(shape, np.float32))


def test_in_step_each_sample_gives_what_it_gives_alone():
    graph = network()
    samples = calibration_samples(graph, X)
    found = evaluate_in_step(graph, samples)
    assert all(np.array_equal(y["y"], evaluate(graph, x)["y"]) for x, y in zip(samples, found, strict=True))


def test_samples_may_take_different_branches():
    def branch(name, operator):
        return Graph([Node(operator, ("x",), (name,))], (), [Value(name)], {}, outer=["x"])

    branches = {"then_branch": branch("p", "Relu"), "else_branch": branch("n", "Neg")}
    graph = Graph(
        [Node("If", ("c",), ("y",), branches)],
        [Value("x", "float32", (1, 6)), Value("c", "bool", ())],
        [Value("y")],
        {},
    )
    samples = [{"x": x, "c": np.array(i % 3 == 0)} for i, x in enumerate(X)]
    together = []

    def count(node, inputs):
        together.append((node.operator, len(inputs)))

    found = evaluate_in_step(graph, samples, count)
    assert together == [("Neg", 16), ("Relu", 8)]
    wanted = [np.maximum(x, 0) if i % 3 == 0 else -x for i, x in enumerate(X)]
    assert np.array_equal([y["y"] for y in found], wanted)


@pytest.mark.parametrize("density", [1.0, 0.4])
def test_a_fixed_batch_is_compressed_as_an_open_one(density):
    fixed = eie.compress(network(), density, X, effort="fast")
    opened = eie.compress(network(None), density, X[:, 0], effort="fast")
    assert sum(layer.nonzeros for layer in fixed.layers) == sum(layer.nonzeros for layer in opened.layers)
    given = [model.metadata["compression"]["calibration"] for model in (fixed, opened)]
    assert given == 2 * [{"samples": 24, "source": "given"}]
    want = evaluate(network(None), {"x": X[:, 0]})["y"]
    found = np.stack([eie.reference(fixed, x) for x in X]), eie.reference(opened, X[:, 0])
    errors = [np.square(y - want).mean() for y in found]
    assert errors[0] == pytest.approx(errors[1], rel=0.3)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_all_inputs_count_not_only_the_first():
    """Of a single vector, weights could be anything that gives its outputs."""
    unseen = np.random.default_rng(5).standard_normal((200, 1, 6)).astype(np.float32)
    graph, ratios = network(hidden=40), []
    want = np.concatenate([evaluate(graph, {"x": x})["y"] for x in unseen])
    for inputs in (X[0], X):
        model = eie.compress(graph, 0.5, inputs)
        got = np.concatenate([eie.reference(model, x) for x in unseen])
        ratios.append(10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()))
    assert ratios[1] > ratios[0] + 3


def test_a_refit_as_a_whole_learns_of_samples_what_it_does_of_a_batch():
    torch = pytest.importorskip("torch")
    from eie.compression.torch_graph import TorchGraph
    from eie.compression.whole import Lesson

    graph = network(None)
    nodes, rng = linear_nodes(graph), np.random.default_rng(2)
    given, moved = {}, {}
    for linear in nodes.values():
        weight = torch.as_tensor(np.ascontiguousarray(linear.matrices[0].weight))
        bias = torch.zeros(len(weight))
        given[linear.names[0]] = weight, bias
        moved[linear.names[0]] = (
            weight + 0.1 * torch.as_tensor(rng.standard_normal(weight.shape).astype(np.float32)),
            bias,
        )
    errors = []
    for samples in ([{"x": X[:, 0]}], [{"x": x} for x in X]):
        lesson = Lesson(TorchGraph(graph, nodes, ()), given, samples, None)
        assert lesson.samples == len(X)
        errors.append(lesson.error(moved, np.arange(len(X)), len(X)))
    assert errors[0] > 1e-4 and errors[1] == pytest.approx(errors[0], rel=1e-3)


@settings(max_examples=25)
@given(graphs())
def test_of_any_graph_samples_side_by_side_give_what_a_batch_gives(case):
    model, x = case
    assume(any(node.op_type == "Conv" for node in model.graph.node))
    graph = read_graph(model)
    recipe = Recipe.of(1.0, True, "magnitude", None, "auto", "linear", 1, 2.0, None, False, False)
    found = []
    for samples in ([{"x": x}], [{"x": x[i : i + 1]} for i in range(len(x))]):
        try:
            job = GraphJob(graph, samples, None, recipe, eie.ArrayConfig(), lambda layer, stage: None)
        except NetworkError as error:
            assert "infinity or NaN" in str(error) or "constant weights" in str(error)
            assume(False)
        found.append(job.run(job.counts(1.0), "model", False)[0])
    for one, other in zip(found[0].layers, found[1].layers, strict=True):
        assert abs(one.output_fraction_bits - other.output_fraction_bits) <= 1
        assert np.array_equal(one.codes, other.codes)
