"""Refit of a network as a whole."""

import sys

import numpy as np
import pytest

import eie
from eie.compression.report import sqnr_db
from eie.compression.streamed import Stream
from eie.errors import MissingExtraError, NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.linear_maps import linear_nodes

torch = pytest.importorskip("torch")

from eie.compression import whole  # noqa: E402
from eie.compression.torch_graph import TorchGraph  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")


def convolutions():
    """A network in which layers behind see what the first ones err, and inputs of some structure."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 12, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(48, 5),
        torch.nn.Sigmoid(),
    )
    rng = np.random.default_rng(0)
    x = rng.standard_normal((640, 6)) @ rng.standard_normal((6, 64))
    return module, x.reshape(-1, 1, 8, 8).astype(np.float32)


def run(model, x):
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        return accelerator.run(x, model=model, verify=True)


def kept(model):
    found = 0
    for layer in model.layers:
        places = [zip(term.row_indices.tolist(), term.column_indices().tolist(), strict=True) for term in layer.terms]
        found += len(set().union(*places))
    return found


@pytest.mark.parametrize("terms", [1, 2])
def test_outputs_of_new_inputs_are_nearer_and_as_many_weights_are_kept(terms):
    module, x = convolutions()
    wanted = module(torch.tensor(x[600:])).detach().numpy()
    found = {}
    for refit in (False, "whole"):
        model = eie.compress(module, 0.2, x[:600], refit=refit, terms=terms, effort="fast")
        found[refit] = sqnr_db(wanted, eie.reference(model, x[600:]))
        assert all(len(np.unique(layer.codebook)) <= 16 for layer in model.layers)
        assert model.metadata["compression"]["refit"] == refit
        found[refit, "kept"] = kept(model)
    assert found["whole", "kept"] == found[False, "kept"]
    assert found["whole"] > found[False] + 0.5


def test_a_chain_is_refitted_too_and_alike_every_time():
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((600, 5)) @ rng.standard_normal((5, 30))).astype(np.float32)
    sizes = [(40, 30), (20, 40), (6, 20)]
    layers = [
        eie.Dense(rng.standard_normal(s).astype(np.float32) / 5, None, "relu" if s[0] > 6 else None) for s in sizes
    ]
    y = x[550:]
    for layer in layers:
        y = y @ layer.weight.T
        y = np.maximum(y, 0) if layer.activation else y
    without = eie.compress(layers, 0.15, x[:550], refit=False, effort="fast")
    told = []
    model = eie.compress(
        layers, 0.15, x[:550], refit="whole", effort="fast", progress=lambda i, stage: told.append(stage)
    )
    assert told.count("refit") == 1 and kept(model) == kept(without)
    assert sqnr_db(y, run(model, x[550:])) > sqnr_db(y, run(without, x[550:])) + 0.5
    assert model == eie.compress(layers, 0.15, x[:550], refit="whole", effort="fast")


def test_what_helps_nothing_is_not_taken(monkeypatch):
    module, x = convolutions()
    monkeypatch.setattr(whole, "_STEPS", {"fast": 1})
    monkeypatch.setattr(whole, "best_of", lambda start, attempts, error: start)
    model = eie.compress(module, 0.2, x, refit="whole", effort="fast")
    without = eie.compress(module, 0.2, x, refit=False, effort="fast")
    assert all(a == b for a, b in zip(model.layers, without.layers, strict=True))


def streamed():
    """A convolution, then a state that comes back as an input."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.standard_normal((6, 1, 4)).astype(np.float32),
        "u": rng.standard_normal((9, 12)).astype(np.float32) / 3,
        "v": rng.standard_normal((9, 9)).astype(np.float32) / 3,
        "shape": np.array([0, 12]),
        "axes": np.array([1]),
    }
    nodes = [
        Node("Unsqueeze", ("x", "axes"), ("channel",)),
        Node("Conv", ("channel", "w"), ("bands",), {"strides": [4]}),
        Node("Relu", ("bands",), ("heard",)),
        Node("Reshape", ("heard", "shape"), ("flat",)),
        Node("Gemm", ("flat", "u"), ("new",), {"transB": 1}),
        Node("MatMul", ("s", "v"), ("old",)),
        Node("Add", ("new", "old"), ("sum",)),
        Node("Tanh", ("sum",), ("t",)),
        Node("Sigmoid", ("t",), ("y",)),
    ]
    inputs = [Value("x", "float32", ("n", 8)), Value("s", "float32", ("n", 9))]
    return Graph(nodes, inputs, [Value("y"), Value("t")], constants)


def test_sequences_that_come_in_pieces_are_computed_as_in_numpy_what_is_possible_at_once():
    graph, rng = streamed(), np.random.default_rng(1)
    x = rng.standard_normal((7, 3, 8)).astype(np.float32)
    stream = Stream(graph, x, {"s": "t"})
    nodes = linear_nodes(graph)
    computes = TorchGraph(graph, nodes, ())
    found, inner = computes.stream(stream, whole._given(nodes))
    wanted = stream.outputs(lambda inputs: evaluate(graph, inputs))
    np.testing.assert_allclose(found["y"].numpy(), wanted["y"], atol=1e-5)
    assert set(inner) == {"bands", "new", "old"} and inner["bands"].shape == (7, 3, 6, 2)
    assert {"channel", "bands", "heard", "flat", "new"} == set(computes._ahead(stream, whole._given(nodes)))


def test_states_are_kept_over_pieces():
    graph, rng = streamed(), np.random.default_rng(1)
    x = (rng.standard_normal((12, 96, 3)) @ rng.standard_normal((3, 8))).astype(np.float32)
    test = Stream(graph, x[:, 64:], {"s": "t"})
    wanted = test.outputs(lambda inputs: evaluate(graph, inputs))["y"]
    found = {}
    for refit in (False, "whole"):
        model = eie.compress(graph, 0.4, {"x": x[:, :64]}, states={"s": "t"}, refit=refit, effort="fast")
        got = test.outputs(lambda inputs, model=model: eie.reference(model, inputs))["y"]
        found[refit] = sqnr_db(wanted, got)
    assert found["whole"] > found[False] + 0.5


def test_gates_that_share_values_go_on_sharing_them():
    rng = np.random.default_rng(0)
    w, r = (rng.standard_normal((32, n)).astype(np.float32) / 2 for n in (4, 8))
    x = rng.standard_normal((40, 10, 4)).astype(np.float32)
    layer = eie.LSTM(w, r, np.zeros(32, np.float32), np.zeros(32, np.float32))
    model = eie.compress(layer, 0.3, x, refit="whole", shared_gates=True, effort="fast")
    plain = eie.compress(layer, 0.3, x, refit=False, shared_gates=True, effort="fast")
    layers = list(model.layers)
    assert all(np.array_equal(layers[0].codebook, other.codebook) for other in layers)
    assert not np.array_equal(layers[0].codebook, next(iter(plain.layers)).codebook), "the refit was not taken"


def test_some_inputs_must_be_kept_back():
    module, x = convolutions()
    with pytest.raises(NetworkError, match="one calibration input"):
        eie.compress(module, 0.2, x[:1], refit="whole")


def test_an_operator_without_a_gradient_is_named():
    nodes = [
        Node("Gemm", ("x", "w"), ("h",), {"transB": 1}),
        Node("Floor", ("h",), ("f",)),
        Node("Gemm", ("f", "v"), ("y",), {"transB": 1}),
    ]
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((3, 4)), "v": rng.standard_normal((30, 3))}
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    graph = Graph(nodes, [Value("x", "float32", ("n", 4))], [Value("y")], constants)
    with pytest.raises(NetworkError, match="Floor"):
        eie.compress(graph, 0.3, rng.standard_normal((20, 4)).astype(np.float32), refit="whole")


def test_it_says_that_it_takes_torch(monkeypatch):
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal((20, 30)).astype(np.float32) for _ in range(2))
    for name in list(sys.modules):
        if name.startswith(("eie.compression.whole", "eie.compression.student", "eie.compression.torch_")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"eie-pynq\[train\]"):
        eie.compress([eie.Dense(weight)], 0.2, x, refit="whole")
