"""Graphs: densities and terms by the loss at the outputs, and targets."""

import warnings

import numpy as np
import pytest

import eie
from eie.compression.report import CompressionReport
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value

pytestmark = pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")

RNG = np.random.default_rng(0)


def he(*shape):
    return (RNG.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


NODES = [
    Node("Conv", ("x", "w1"), ("c1",), {"pads": [1, 1, 1, 1], "strides": [2, 2]}, "conv"),
    Node("Relu", ("c1",), ("r1",)),
    Node("Flatten", ("r1",), ("f",)),
    Node("Gemm", ("f", "w2"), ("h",), {"transB": 1}, "hidden"),
    Node("Tanh", ("h",), ("t",)),
    Node("Gemm", ("t", "w3"), ("y",), {"transB": 1}, "last"),
]
WEIGHTS = {"w1": he(4, 1, 3, 3), "w2": he(20, 4 * 5 * 5), "w3": he(5, 20)}
NETWORK = Graph(NODES, [Value("x", "float32", ("batch", 1, 10, 10))], [Value("y")], WEIGHTS)
X = RNG.standard_normal((40, 1, 10, 10)).astype(np.float32)


def report(model):
    return CompressionReport.from_dict(model.metadata["compression"])


def densities(model):
    return {row.name: row.density for row in report(model).layers}


def test_a_density_is_spread_by_the_loss_at_the_outputs():
    model = eie.compress(NETWORK, 0.3, X)
    found = densities(model)
    assert found["conv"] > 0.5 > found["hidden"]  # few weights, each used 25 times
    assert sum(layer.kept for layer in model.layers) == pytest.approx(0.3 * (36 + 2000 + 100), abs=3)
    alike = eie.compress(NETWORK, 0.3, X, allocation="uniform")
    assert report(model).output_sqnr_db >= report(alike).output_sqnr_db - 0.5


def test_densities_by_name_are_kept():
    found = densities(eie.compress(NETWORK, {"conv": 1.0, "hidden": 0.2, "last": 0.5}, X))
    assert found == pytest.approx({"conv": 1.0, "hidden": 0.2, "last": 0.5})


def test_targets_are_kept_by_graphs(tmp_path):
    model = eie.compress(NETWORK, calibration=X, max_loss=0.02)
    assert report(model).output_sqnr_db >= 10 * np.log10(1 / 0.02)
    assert 0.1 < sum(layer.kept for layer in model.layers) / 2136 < 1
    small = eie.compress(NETWORK, calibration=X, target_size=2500)
    assert eie.save(small, tmp_path / "small.eie") <= 2500


def test_the_end_to_end_ratio_is_that_of_the_graphs_outputs():
    model = eie.compress(NETWORK, 0.5, X)
    wanted, found = evaluate(NETWORK, {"x": X})["y"], eie.reference(model, X)
    ratio = 10 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2))
    assert report(model).output_sqnr_db == pytest.approx(ratio, abs=0.1)


@pytest.mark.parametrize("terms", [2, "loss"])
def test_a_graph_of_two_terms_runs_and_is_kept_by_its_file(tmp_path, terms):
    model = eie.compress(NETWORK, 1.0, X, terms=terms)
    assert 2 in [len(layer.terms) for layer in model.layers]
    assert report(model).output_sqnr_db > report(eie.compress(NETWORK, 1.0, X)).output_sqnr_db + 10
    eie.save(model, tmp_path / "model.eie")
    loaded = eie.load(tmp_path / "model.eie")
    assert [*loaded.layers] == [*model.layers]
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.array_equal(accelerator.run(X[:3], model=loaded), eie.reference(model, X[:3]))


def spectrum(operator):
    """Return a network of a spectrum whose bands go through an operator, and inputs that are loud or nearly silent."""
    nodes = [
        Node("MatMul", ("x", "bands"), ("m",), {}, "bands"),
        Node("Add", ("m", "least"), ("a",)),
        Node(operator, ("a",), ("l",)),
        Node("MatMul", ("l", "w"), ("y",), {}, "head"),
    ]
    constants = {"bands": np.abs(he(12, 8)), "least": np.float32(1e-4), "w": he(8, 3)}
    loudness = np.repeat(np.array([1e-6, 1, 100], np.float32), 30)[:, None]
    x = loudness * np.abs(RNG.standard_normal((90, 12))).astype(np.float32)
    return Graph(nodes, [Value("x", "float32", ("batch", 12))], [Value("y")], constants), x


BETWEEN = {
    "nothing": [],
    "a limit": [Node("Clip", ("a", "least"), ("b",))],
    "powers": [Node("Pow", ("a", "two"), ("p",)), Node("Transpose", ("p",), ("b",), {"perm": [0, 1]})],
}


@pytest.mark.parametrize("between", BETWEEN)
def test_what_a_logarithm_reads_is_computed_by_the_host(between):
    network, x = spectrum("Log")
    bands, least, log, head = network.nodes
    if BETWEEN[between]:
        log = Node("Log", ("b",), ("l",))
    constants = {**network.constants, "two": np.float32(2)}
    nodes = [bands, least, *BETWEEN[between], log, head]
    network = Graph(nodes, network.inputs, network.outputs, constants)
    model = eie.compress(network, 1.0, x, terms=2)
    assert [layer.name for layer in model.layers] == ["head"]
    assert report(model).output_sqnr_db > 35
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.isfinite(accelerator.run(x, model=model, verify=True)).all()


def test_a_sum_that_is_no_small_one_keeps_the_array_before_a_logarithm():
    network, x = spectrum("Log")
    bands, _, log, head = network.nodes
    nodes = [bands, Node("Abs", ("m",), ("n",)), Node("Add", ("n", "one"), ("a",)), log, head]
    network = Graph(nodes, network.inputs, network.outputs, {**network.constants, "one": np.float32(1)})
    model = eie.compress(network, 1.0, x, terms=2)
    assert [layer.name for layer in model.layers] == ["bands", "head"]


def test_infinity_that_compression_causes_is_one_clear_error():
    network, x = spectrum("Reciprocal")
    assert np.isfinite(evaluate(network, {"x": x})["y"]).all()
    with pytest.raises(eie.errors.NetworkError, match="'head': the layers before it, once they are compressed"):
        eie.compress(network, 1.0, x, terms=2)


@pytest.mark.parametrize("operator, gates", [("LSTM", 4), ("GRU", 3)])
def test_gates_that_saturate_where_their_functions_are_flat_bring_no_warning(operator, gates):
    rng = np.random.default_rng(3)
    hidden, columns = 6, 5
    constants = {
        "w": 30 * rng.standard_normal((1, gates * hidden, columns)).astype(np.float32),
        "r": 0.3 * rng.standard_normal((1, gates * hidden, hidden)).astype(np.float32),
    }
    graph = Graph(
        [Node(operator, ("x", "w", "r"), ("y",))],
        [Value("x", "float32", (7, "batch", columns))],
        [Value("y")],
        constants,
    )
    x = rng.standard_normal((7, 40, columns)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", eie.errors.AccuracyWarning)
        model = eie.compress(graph, 1.0, x, terms=2)
    assert model.sequences and min(row.output_sqnr_db for row in report(model).layers) > 30


def test_inputs_that_are_nothing_beside_the_bias_leave_it():
    """The mean of what is centred is 0 but for rounding; one would want 38 fraction bits for it."""
    nodes = [
        Node("Conv", ("x", "w"), ("c",)),
        Node("InstanceNormalization", ("c", "ones", "zeros"), ("n",)),
        Node("GlobalAveragePool", ("n",), ("m",)),
        Node("Conv", ("m", "v", "bias"), ("y",), {}, "last"),
    ]
    constants = {"w": he(3, 2, 1, 1), "v": he(4, 3, 1, 1), "bias": he(4), "ones": np.ones(3), "zeros": np.zeros(3)}
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    network = Graph(nodes, [Value("x", "float32", ("batch", 2, 5, 5))], [Value("y")], constants)
    x = he(8, 2, 5, 5)
    for method in ("magnitude", "compensated"):
        model = eie.compress(network, 1.0, x, method=method, terms=2)
        with eie.Accelerator("emulated") as accelerator:
            y = accelerator.run(x, model=model, verify=True)
        np.testing.assert_allclose(y[:, :, 0, 0], np.broadcast_to(constants["bias"], (8, 4)), atol=1e-3)
