"""Graphs exported for one input at a time: opened to batches where nothing depends on that, left alone elsewhere."""

import warnings

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
        [Node("Mul", ("c", "zero"), ("m",)), Node("ReduceMax", ("m",), ("y",), {"keepdims": 1})],  # (1, 1, 1, 1), of 0
        [Node("Softmax", ("c",), ("y",), {"axis": 0})],
    ],
)
def test_a_graph_that_mixes_a_batch_stays_as_it_is(nodes):
    assert read_graph(graph(*nodes)).inputs[0].shape == (1, 3, 4, 4)


F = np.float32
BATCH, TIME, CHANNELS = 1, 5, 4


def constant(*shape):
    return RNG.standard_normal(shape).astype(F)


W = constant(CHANNELS, CHANNELS)
HEADS = np.array([TIME, 2, CHANNELS // 2])
FIXED = {
    "sizes": ([Node("Reshape", ("x", "s"), ("y",))], {"s": np.array([1, TIME * CHANNELS])}),
    "sizes with one to find": (
        [Node("Reshape", ("x", "s"), ("y",), {"allowzero": 1})],
        {"s": np.array([1, 2, -1])},
    ),
    "time and batch in one": (
        [Node("Reshape", ("x", "s"), ("a",)), Node("MatMul", ("a", "w"), ("b",)), Node("Reshape", ("b", "t"), ("y",))],
        {"s": np.array([TIME, CHANNELS]), "w": W, "t": np.array([1, TIME, CHANNELS])},
    ),
    "time and batch in one, and apart with a size to find": (
        [Node("Reshape", ("x", "s"), ("a",)), Node("Tanh", ("a",), ("b",)), Node("Reshape", ("b", "t"), ("y",))],
        {"s": np.array([TIME, 1, CHANNELS]), "t": np.array([1, TIME, -1, CHANNELS])},
    ),
    "heads of attention, the batch among them": (
        [
            Node("Transpose", ("x",), ("t",), {"perm": [1, 0, 2]}),
            Node("Reshape", ("t", "heads"), ("h",)),  # (T, B heads, C / heads)
            Node("Transpose", ("h",), ("q",), {"perm": [1, 0, 2]}),
            Node("Transpose", ("h",), ("k",), {"perm": [1, 2, 0]}),
            Node("MatMul", ("q", "k"), ("scores",)),
            Node("Softmax", ("scores",), ("p",), {"axis": -1}),
            Node("MatMul", ("p", "q"), ("o",)),
            Node("Transpose", ("o",), ("back",), {"perm": [1, 0, 2]}),
            Node("Reshape", ("back", "rows"), ("r",)),  # (T B, C)
            Node("MatMul", ("r", "w"), ("m",)),
            Node("Reshape", ("m", "time"), ("u",)),
            Node("Transpose", ("u",), ("y",), {"perm": [1, 0, 2]}),
        ],
        {"heads": HEADS, "rows": np.array([TIME, CHANNELS]), "w": W, "time": np.array([TIME, 1, CHANNELS])},
    ),
    "windows whose batch comes to lie within an axis": (
        [
            Node("Reshape", ("x", "windows"), ("v",)),  # (B T, 2, C / 2)
            Node("Transpose", ("v",), ("u",), {"perm": [1, 0, 2]}),
            Node("Reshape", ("u", "rows"), ("r",)),  # (2 B T, C / 2)
            Node("MatMul", ("r", "half"), ("m",)),
            Node("Reshape", ("m", "back"), ("b",)),
            Node("Transpose", ("b",), ("c",), {"perm": [1, 0, 2]}),
            Node("Reshape", ("c", "input"), ("y",)),
        ],
        {
            "windows": np.array([TIME, 2, CHANNELS // 2]),
            "rows": np.array([2 * TIME, CHANNELS // 2]),
            "half": constant(CHANNELS // 2, CHANNELS // 2),
            "back": np.array([2, TIME, CHANNELS // 2]),
            "input": np.array([1, TIME, CHANNELS]),
        },
    ),
    "an axis that a batch shares, beside one that it does not": (
        [
            Node("Reshape", ("x", "s"), ("a",)),
            Node("Unsqueeze", ("a", "first"), ("b",)),
            Node("Add", ("x", "b"), ("y",)),
        ],
        {"s": np.array([TIME, CHANNELS]), "first": [0]},
    ),
    "something before each input": (
        [Node("Concat", ("token", "x"), ("y",), {"axis": 1})],
        {"token": constant(1, 1, CHANNELS)},
    ),
    "a resolution": (
        [
            Node("Unsqueeze", ("x", "first"), ("u",)),
            Node("Resize", ("u", "", "", "s"), ("v",)),
            Node("Squeeze", ("v", "first"), ("y",)),
        ],
        {"first": np.array([1]), "s": np.array([1, 1, 2 * TIME, CHANNELS])},
    ),
    "states of zeros": (
        [
            Node("LSTM", ("x", "i", "h", "", "", "zeros", "zeros"), ("o",), {"hidden_size": 3, "layout": 1}),
            Node("Squeeze", ("o", "second"), ("y",)),
        ],
        {"i": constant(1, 12, CHANNELS), "h": constant(1, 12, 3), "zeros": np.zeros((1, 1, 3), F), "second": [2]},
    ),
    "states": (
        [
            Node("Transpose", ("x",), ("t",), {"perm": [1, 0, 2]}),
            Node("GRU", ("t", "i", "h", "", "", "state"), ("o",), {"hidden_size": 3}),
            Node("Squeeze", ("o", "second"), ("p",)),
            Node("Transpose", ("p",), ("y",), {"perm": [1, 0, 2]}),
        ],
        {"i": constant(1, 9, CHANNELS), "h": constant(1, 9, 3), "state": constant(1, 1, 3), "second": [1]},
    ),
    "one step of a sequence": (
        [
            Node("ReduceMean", ("x", "second"), ("m",), {"keepdims": 1}),
            Node("Transpose", ("m",), ("t",), {"perm": [1, 0, 2]}),  # (1, B, C)
            Node("Reshape", ("t", "s"), ("u",)),
            Node("GRU", ("u", "i", "h"), ("", "y3"), {"hidden_size": 3}),
            Node("Squeeze", ("y3", "first"), ("y",)),
        ],
        {
            "second": [1],
            "s": np.array([1, 1, CHANNELS]),
            "i": constant(1, 9, CHANNELS),
            "h": constant(1, 9, 3),
            "first": [0],
        },
    ),
    "places to write to": (
        [
            Node("Mul", ("two", "x"), ("doubled",)),
            Node("Slice", ("doubled", *"012"), ("u",)),
            Node("ScatterND", ("x", "at", "u"), ("y",)),
        ],
        {
            "two": np.array(2, F),
            **{name: np.array([value]) for name, value in zip("012", (0, 1, 1), strict=True)},
            "at": np.array([[[[0, 3, i] for i in range(CHANNELS)]]]),
        },
    ),
    "a place where another axis could be meant": (
        [
            Node("Reshape", ("x", "s"), ("a",)),
            Node("Transpose", ("x",), ("t",), {"perm": [1, 0, 2]}),
            Node("Unsqueeze", ("t", "first"), ("b",)),
            Node("Add", ("a", "b"), ("sum",)),
            Node("ReduceMean", ("sum", "some"), ("y",), {"keepdims": 0}),
        ],
        {"s": np.array([1, TIME, 1, CHANNELS]), "first": [0], "some": [1, 2]},
    ),
}


@pytest.mark.parametrize("what", FIXED)
def test_what_fixes_the_size_of_a_batch_is_replaced(what):
    nodes, constants = FIXED[what]
    constants = {name: np.asarray(array) for name, array in constants.items()}
    given = Graph(nodes, [Value("x", "float32", (BATCH, TIME, CHANNELS))], [Value("y")], constants)
    network = read_graph(given)
    assert network.inputs[0].shape == ("batch", TIME, CHANNELS)
    x = constant(4, TIME, CHANNELS)
    alone = [evaluate(given, {"x": x[i : i + 1]})["y"] for i in range(4)]
    assert alone[0].size
    np.testing.assert_allclose(evaluate(network, {"x": x})["y"], np.concatenate(alone), rtol=1e-4, atol=1e-5)


def of_any_time(what, **changed):
    nodes, constants = FIXED[what]
    constants = {name: np.asarray(array) for name, array in {**constants, **changed}.items()}
    return Graph(nodes, [Value("x", "float32", (1, "time", CHANNELS))], [Value("y")], constants)


@pytest.mark.parametrize("given", [of_any_time("sizes", s=[1, -1, 2]), of_any_time("states of zeros")])
def test_a_network_that_leaves_another_size_open_takes_a_batch_too(given):
    network = read_graph(given)
    assert network.inputs[0].shape == ("batch", "time", CHANNELS)
    for time in (1, 7):
        x = constant(3, time, CHANNELS)
        alone = [evaluate(given, {"x": x[i : i + 1]})["y"] for i in range(3)]
        np.testing.assert_allclose(evaluate(network, {"x": x})["y"], np.concatenate(alone), rtol=1e-4, atol=1e-5)


def test_two_sizes_that_a_reshape_would_have_to_find_leave_a_network_as_it_is():
    network = read_graph(of_any_time("time and batch in one", s=[-1, CHANNELS], t=[1, -1, CHANNELS]))
    assert network.inputs[0].shape == (1, "time", CHANNELS)


def test_what_torch_exports_of_one_input_takes_a_batch(tmp_path):
    torch = pytest.importorskip("torch")

    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.recurrent = torch.nn.GRU(8, 4, bidirectional=True, batch_first=True)
            self.last = torch.nn.Linear(8 * TIME, 3)

        def forward(self, x):
            return self.last(self.recurrent(self.encoder(x))[0].reshape(1, -1))

    torch.manual_seed(0)
    module, x = Attention().eval(), torch.randn(4, TIME, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (x[:1],), tmp_path / "net.onnx", dynamo=False)
    network = read_graph(tmp_path / "net.onnx")
    (value,) = network.inputs
    assert value.shape == ("batch", TIME, 8)
    wanted = torch.cat([module(each[None]) for each in x]).detach().numpy()
    (found,) = evaluate(network, {value.name: x.numpy()}).values()
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_batch_of_one_input_may_be_its_second_axis():
    cell = Node("GRU", ("x", "i", "h"), ("o", "y"), {"hidden_size": 3})
    weights = {"i": constant(1, 9, CHANNELS), "h": constant(1, 9, 3)}
    network = read_graph(Graph([cell], [Value("x", "float32", (TIME, 1, CHANNELS))], [Value("y")], weights))
    assert network.inputs[0].shape == (TIME, "batch", CHANNELS)


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
