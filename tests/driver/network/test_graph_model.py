"""Compressed graphs: the array computes what the reference says, the host the rest, and a file keeps all of it."""

import numpy as np
import pytest

import eie
from eie.errors import EieError, ModelFileError, NetworkError, PackError, VerificationError
from eie.model_file.container import describe
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.graph_model import ArrayProduct, GraphModel
from eie.network.simplify import simplify
from tests.keywords import KEYWORDS

CONFIG = eie.ArrayConfig(num_pes=4)


def convolutional(rng):
    """Return a small network with convolutions of every kind, pooling, a branch and a softmax."""
    constants = {
        "w1": rng.standard_normal((6, 2, 3, 3)) * 0.3,
        "b1": rng.standard_normal(6),
        "w2": rng.standard_normal((6, 1, 3, 3)) * 0.3,
        "w3": rng.standard_normal((6, 4, 2, 2)) * 0.3,
        "w4": rng.standard_normal((12, 5)) * 0.3,
        "w5": rng.standard_normal((5, 3)) * 0.3,
    }
    nodes = [
        Node("Conv", ("x", "w1", "b1"), ("c1",), {"pads": [1, 1, 1, 1], "strides": [2, 1]}, "first"),
        Node("Relu", ("c1",), ("r1",)),
        Node("Conv", ("r1", "w2"), ("c2",), {"group": 6, "dilations": [1, 2]}, "depthwise"),
        Node("HardSwish", ("c2",), ("h2",)),
        Node("ConvTranspose", ("h2", "w3"), ("c3",), {"strides": [2, 2]}, "up"),
        Node("GlobalAveragePool", ("c3",), ("p3",)),
        Node("GlobalMaxPool", ("c3",), ("q3",)),
        Node("Flatten", ("p3",), ("f3",)),
        Node("Flatten", ("q3",), ("g3",)),
        Node("Concat", ("f3", "g3", "g3"), ("k",), {"axis": 1}),
        Node("MatMul", ("k", "w4"), ("m4",), {}, "hidden"),
        Node("Relu", ("m4",), ("r4",)),
        Node("MatMul", ("r4", "w5"), ("m5",), {}, "last"),
        Node("Softmax", ("m5",), ("y",)),
    ]
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    return Graph(nodes, [Value("x", "float32", ("batch", 2, 9, 8))], [Value("y")], constants)


def recurrent(rng, operator, gates, **attributes):
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    constants = {
        "w": rng.standard_normal((directions, gates * 5, 4)) * 0.5,
        "r": rng.standard_normal((directions, gates * 5, 5)) * 0.5,
        "b": rng.standard_normal((directions, 2 * gates * 5)) * 0.2,
    }
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    node = Node(operator, ("x", "w", "r", "b", "", "h"), ("y", "hn"), attributes, "cell")
    inputs = [Value("x", "float32", ("time", "batch", 4)), Value("h", "float32", (directions, "batch", 5))]
    return Graph([node], inputs, [Value("y"), Value("hn")], constants)


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    graph = convolutional(rng)
    x = rng.standard_normal((6, 2, 9, 8)).astype(np.float32)
    return graph, x, eie.compress(graph, 1.0, x, name="small")


def test_a_graph_runs_as_its_reference_and_near_its_floats(network):
    graph, x, model = network
    assert isinstance(model, GraphModel)
    assert [layer.name for layer in model.layers] == ["first", "depthwise", "up", "hidden", "last"]
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        y = accelerator.run(x, verify=True, model=model)
        assert accelerator.counters.broadcasts > 0
    assert np.array_equal(y, eie.reference(model, x))
    floats = evaluate(graph, {"x": x})["y"]
    assert y.shape == floats.shape == (6, 3) and y.dtype == np.float32
    assert np.abs(y - floats).max() < 0.05


def test_layers_that_follow_one_another_stay_on_the_array(network):
    _, _, model = network
    (product,) = model.products["m5"]
    assert [layer.name for layer in product.model.layers] == ["hidden", "last"]
    assert [node.operator for node in model.graph.nodes].count("MatMul") == 1


def test_a_file_keeps_a_graph(network, tmp_path):
    _, x, model = network
    size = eie.save(model, tmp_path / "g.eie")
    loaded = eie.load(tmp_path / "g.eie")
    assert size == (tmp_path / "g.eie").stat().st_size
    assert loaded == model and hash(loaded) == hash(model)
    assert loaded != GraphModel(model.graph, model.products, "another", model.metadata)
    assert repr(loaded).startswith("<GraphModel 'small': ") and "\n" not in repr(loaded)
    assert np.array_equal(eie.reference(loaded, x), eie.reference(model, x))
    data = (tmp_path / "g.eie").read_bytes()
    for length in (0, 20, len(data) // 2, len(data) - 1):
        (tmp_path / "cut.eie").write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            eie.load(tmp_path / "cut.eie")


@pytest.mark.parametrize(
    ("operator", "gates", "attributes"),
    [
        ("LSTM", 4, {}),
        ("LSTM", 4, {"direction": "bidirectional"}),
        ("GRU", 3, {"linear_before_reset": 1}),
        ("GRU", 3, {"direction": "reverse"}),
        ("GRU", 3, {"direction": "bidirectional", "linear_before_reset": 1}),
        ("LSTM", 4, {"activations": ["Sigmoid", "Tanh", "Relu"]}),
        ("LSTM", 4, {"clip": 2.0}),
        ("RNN", 1, {}),
    ],
)
def test_recurrent_layers_run_without_the_host_where_the_array_has_their_cell(operator, gates, attributes, tmp_path):
    rng = np.random.default_rng(1)
    graph = recurrent(rng, operator, gates, **attributes)
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    inputs = {
        "x": rng.standard_normal((7, 3, 4)).astype(np.float32),
        "h": rng.standard_normal((directions, 3, 5)).astype(np.float32),
    }
    model = eie.compress(graph, 1.0, inputs, terms=2)
    hosted = operator == "RNN" or {"activations", "clip"} & set(attributes)
    device = eie.EmulatedDevice(CONFIG)
    with eie.Accelerator(device) as accelerator:
        accelerator.run(inputs, model=model)
        sent, send = [], device.send
        device.send = lambda *given, **named: (sent.append(given), send(*given, **named))[1]
        got = accelerator.run(inputs, verify=True, model=model)
    runs = [given for given in sent if len(given) > 1]  # what only sends loads a model
    assert len(runs) == (8 if hosted else directions), "all inputs at once and seven time steps, or all of it at once"
    assert len(model.sequences.get("y", ())) == (0 if hosted else directions)
    eie.save(model, tmp_path / "g.eie")
    assert eie.load(tmp_path / "g.eie") == model
    assert describe(tmp_path / "g.eie")["version"] == (4 if hosted else 5)
    for name, values in eie.reference(model, inputs).items():
        assert np.array_equal(got[name], values)
    wanted = evaluate(graph, inputs)
    assert list(got) == ["y", "hn"]
    for name, values in wanted.items():
        assert got[name].shape == values.shape
        assert np.abs(got[name] - values).max() < 0.02


def test_an_array_too_small_for_a_time_step_computes_gate_by_gate_the_same():
    rng = np.random.default_rng(2)
    inputs = {
        "x": rng.standard_normal((5, 2, 4)).astype(np.float32),
        "h": rng.standard_normal((1, 2, 5)).astype(np.float32),
    }
    model = eie.compress(recurrent(rng, "LSTM", 4), 1.0, inputs)
    small = eie.ArrayConfig(num_pes=4, entries=64, pointers=32, rows=16, activations=32)
    with eie.Accelerator(eie.EmulatedDevice(small)) as accelerator:
        got = accelerator.run(inputs, verify=True, model=model)
    for name, values in eie.reference(model, inputs).items():
        assert np.array_equal(got[name], values)


def test_a_recurrent_layer_behind_a_relu_has_the_number_format_of_what_passes_it():
    rng = np.random.default_rng(2)
    graph = recurrent(rng, "LSTM", 4)
    below = np.array([0, -1000, -1000, 0], np.float32)
    nodes = [
        Node("MatMul", ("x", "eye"), ("m",)),
        Node("Add", ("m", "below"), ("a",)),
        Node("Relu", ("a",), ("passed",)),
        Node("LSTM", ("passed", *graph.nodes[0].inputs[1:]), ("y", "hn"), {}, "cell"),
    ]
    constants = {**graph.constants, "eye": np.eye(4, dtype=np.float32), "below": below}
    graph = simplify(Graph(nodes, graph.inputs, graph.outputs, constants))
    inputs = {"x": rng.standard_normal((7, 3, 4)).astype(np.float32), "h": np.zeros((1, 3, 5), np.float32)}
    model = eie.compress(graph, 1.0, inputs, terms=2)
    assert len(model.graph.nodes) == 2, "the ReLU is the matrix product's"
    assert model.sequences["y"][0].input_fraction_bits >= 11
    assert np.abs(eie.reference(model, inputs)["y"] - evaluate(graph, inputs)["y"]).max() < 0.02


def test_states_beyond_the_arrays_range_stay_with_the_host_in_files_as_before(tmp_path):
    rng = np.random.default_rng(3)
    graph = recurrent(rng, "LSTM", 4)
    counting = graph.constants["b"].copy()
    counting[0, :20] += 9  # all gates open: the memory cell counts the steps
    graph = Graph(graph.nodes, graph.inputs, graph.outputs, {**graph.constants, "b": counting})
    inputs = {"x": np.ones((200, 1, 4), np.float32), "h": np.zeros((1, 1, 5), np.float32)}
    model = eie.compress(graph, 1.0, inputs, terms=2)
    assert not model.sequences
    eie.save(model, tmp_path / "g.eie")
    assert describe(tmp_path / "g.eie")["version"] == 4 and eie.load(tmp_path / "g.eie") == model
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        got = accelerator.run(inputs, verify=True, model=model)
    assert np.abs(got["y"] - evaluate(graph, inputs)["y"]).max() < 0.02
    w, r, b = (graph.constants[name][0] for name in "wrb")
    order = np.concatenate([np.arange(5) + 5 * block for block in (0, 2, 3, 1)])  # i, o, f, g -> i, f, g, o
    with pytest.raises(NetworkError, match="a state of the layer leaves the range that it has on the array"):
        eie.compress(eie.LSTM(w[order], r[order], b[:20][order], b[20:][order]), 1.0, inputs["x"][:, 0])


def test_a_wrong_result_of_the_array_is_found(network):
    _, x, model = network

    class Wrong(eie.EmulatedDevice):
        def receive(self, nbytes):
            received = super().receive(nbytes)
            if nbytes:
                received.view(np.int16)[0] ^= 1
            return received

    with (
        eie.Accelerator(Wrong(CONFIG)) as accelerator,
        pytest.raises(VerificationError, match=r"layer 0, row \d+ \(PE"),
    ):
        accelerator.run(x, verify=True, model=model)


def test_inputs_that_do_not_fit_are_refused(network):
    _, x, model = network
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model)
        for bad, message in (
            (x[:, :1], "given with shape"),
            ({"z": x}, "no input 'z'"),
            (x.astype(complex), "complex"),
            ((x, x), "takes x float32"),
        ):
            with pytest.raises(EieError, match=message):
                accelerator.run(bad)
        with pytest.raises(PackError, match="is a graph"):
            accelerator.run_raw(np.zeros((1, 4), np.int16))


def test_what_multiplies_by_no_constants_is_refused():
    alone = [Node("Relu", ("x",), ("y",))]
    of_logarithm = [Node("MatMul", ("x", "w"), ("p",)), Node("Log", ("p",), ("y",))]
    for nodes in (alone, of_logarithm):
        graph = Graph(nodes, [Value("x", "float32", ("batch", 4))], [Value("y")], {"w": np.eye(4, dtype=np.float32)})
        with pytest.raises(NetworkError, match=r"or only for a logarithm.*: nothing of it is for the array"):
            eie.compress(graph, 1.0)


@pytest.mark.parametrize("scale", [None, 2.0**-9, 0.003])
def test_inputs_of_a_product_are_rounded_and_saturate_and_none_is_nan(scale):
    alone = eie.compress([eie.Dense(np.eye(4, dtype=np.float32))], 1.0)
    product = ArrayProduct(alone, scale, None if scale is None else np.ones(4))
    step = 2.0**-alone.input_fraction_bits if scale is None else scale
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    x[0] = [1e9, -1e9, np.inf, -np.inf]
    want = np.clip(np.rint(x.astype(np.float64) / step), -(1 << 15), (1 << 15) - 1)
    np.testing.assert_array_equal(product.to_integers(x), want)
    x[3, 2] = np.nan
    with pytest.raises(PackError, match="NaN"):
        product.to_integers(x)


def test_only_the_weights_that_a_convolution_has_count_for_its_density():
    rng = np.random.default_rng(2)
    model = eie.compress(convolutional(rng), 0.5)
    depthwise = model.layers[1]
    assert (depthwise.rows, depthwise.columns, depthwise.nonzeros) == (6, 54, 27)


@pytest.mark.skipif(not KEYWORDS.is_dir(), reason=f"{KEYWORDS} is not there")
def test_finn_s_network_gives_the_classes_of_finn_s_board():
    pytest.importorskip("onnx")
    samples = np.load(KEYWORDS / "samples.npz")
    model = eie.compress(KEYWORDS / "model.qonnx.onnx", None)
    assert {product.input_scale is not None for product in model.array_products()} == {True}, "integers, all of them"
    assert sum(1 for _ in model.array_products()) == 1, "all layers after one another on the array"
    shares = [row["unequal"] for row in model.metadata["compression"]["layers"]]
    assert shares == [0, 0, 0, None], "every row is proved equal; what is behind the last layer is the host's"
    assert model.metadata["compression"]["end_sqnr_db"] > 90, "which the report knows"
    # The file's first quantiser takes floats: its scale times the integers that the board was sent.
    x = samples["inputs"].astype(np.float32).reshape(-1, 1, 10, 49) * np.float32(
        model.array_products().__next__().input_scale
    )
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=64))) as accelerator:
        y = accelerator.run(x, model=model)
        assert np.array_equal(accelerator.run(x[:8], verify=True, model=model), y[:8])
    classes = y.argmax(axis=1)
    assert np.array_equal(classes, samples["board_top1"])
    assert (classes == samples["labels"]).mean() == 0.825


def test_a_linear_map_in_a_branch_is_the_array_s_and_its_weights_are_folded():
    """The weights pass through nodes of the branch, and come in part from outside it."""
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((5, 4)).astype(np.float32)
    inner = [Node("Transpose", ("w",), ("wt",)), Node("MatMul", ("x", "wt"), ("m",), {}, "in_branch")]
    then = Graph(inner, [], [Value("m")], {}, "then", outer=("x", "w"))
    other = Graph([Node("Concat", ("x", "x"), ("k",), {"axis": 1})], [], [Value("k")], {}, "else", outer=("x",))
    nodes = [
        Node("ReduceSum", ("x",), ("s",), {"keepdims": 0}),
        Node("Less", ("s", "limit"), ("condition",)),
        Node("If", ("condition",), ("y",), {"then_branch": then, "else_branch": other}),
    ]
    constants = {"w": weight, "limit": np.float32(1e6)}
    graph = Graph(nodes, [Value("x", "float32", ("batch", 4))], [Value("y")], constants)
    x = rng.standard_normal((9, 4)).astype(np.float32)
    model = eie.compress(graph, 1.0, x)
    assert [layer.name for layer in model.layers] == ["in_branch"]
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        y = accelerator.run(x, model=model, verify=True)
        assert np.abs(y - x @ weight.T).max() < 0.5
        # The other branch was never taken in calibration: it is the host's, and right.
        assert accelerator.run(x * 1e6 + 1e6, model=model, verify=True).shape == (9, 8)
