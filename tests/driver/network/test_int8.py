"""int8 networks in their own integers: weights exact in two digits, quantisers as row scales, one chain of layers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import eie
from eie.compression.exact import digits
from eie.compression.report import sqnr_db
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.quantised import Grid, data_grid, integer_rows
from tests.driver.network.test_anomaly_detection import AD, LAYERS, write_onnx


@given(arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 40)), elements=st.integers(-128, 127)))
def test_any_8_bit_weights_are_two_digits(integers):
    split = digits(integers)
    assert np.array_equal(sum(split), integers)
    assert all(len(np.unique(part[part != 0])) <= 15 for part in split)


def test_small_weights_have_one_digit():
    integers = np.arange(-7, 9)[None]
    assert not any(np.count_nonzero(part) for part in digits(integers)[:1])
    assert digits(17 * np.arange(40)[None] ** 2) is None


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=6), st.floats(1e-6, 1e3))
def test_rows_of_few_weights_have_integers_too(row, scale):
    weight = (np.array([row]) * np.float32(scale)).astype(np.float32)
    integers, scales = integer_rows(weight)
    np.testing.assert_allclose(integers * scales[:, None], weight, rtol=1e-5)
    assert np.abs(integers).max() <= 127


def quantised(rng, sizes, zero=10):
    """Return a QDQ network of int8 weights per channel and uint8 activations with a zero point, and its integers."""
    constants, nodes, name, integers = {"zero": np.uint8(zero)}, [], "x", []
    for i, (columns, rows) in enumerate(itertools.pairwise(sizes)):
        integers.append(rng.integers(-127, 128, (rows, columns)))
        scales = rng.uniform(0.5, 2, rows) / (74 * np.sqrt(columns))
        constants[f"w{i}"] = (integers[-1] * scales[:, None]).astype(np.float32)
        constants[f"b{i}"] = rng.normal(0, 0.3, rows).astype(np.float32)
        constants[f"s{i}"] = np.float32(0.03 + 0.002 * i)
        nodes += [
            Node("QuantizeLinear", (name, f"s{i}", "zero"), (f"q{i}",)),
            Node("DequantizeLinear", (f"q{i}", f"s{i}", "zero"), (f"d{i}",)),
            Node("Gemm", (f"d{i}", f"w{i}", f"b{i}"), (f"g{i}",), {"transB": 1}, f"layer {i}"),
        ]
        name = f"g{i}"
        if i % 2 == 0:
            nodes.append(Node("Relu", (name,), (f"r{i}",)))
            name = f"r{i}"
    constants["s"] = np.float32(0.05)
    nodes += [
        Node("QuantizeLinear", (name, "s", "zero"), ("q",)),
        Node("DequantizeLinear", ("q", "s", "zero"), ("y",)),
    ]
    return Graph(nodes, [Value("x", "float32", ("batch", sizes[0]))], [Value("y")], constants), integers


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_a_quantised_branch_computes_what_it_does_alone():
    """Its quantisers stay with the host: nodes of a branch are not taken over by the layers before them."""
    rng = np.random.default_rng(0)
    graph, _ = quantised(rng, (24, 20, 12))
    outer = {value.name for value in graph.inputs} | set(graph.constants)
    taken = Graph(graph.nodes, (), graph.outputs, {}, outer=outer)
    other = Graph([Node("MatMul", ("x", "other"), ("z",))], (), [Value("z")], {}, outer=["x", "other"])
    constants = {**graph.constants, "other": rng.standard_normal((24, 12)).astype(np.float32)}
    nodes = [Node("If", ("c",), ("out",), {"then_branch": taken, "else_branch": other})]
    inputs = [*graph.inputs, Value("c", "bool", ())]
    whole = Graph(nodes, inputs, [Value("out")], constants)
    x = {"x": rng.normal(0, 1, (200, 24)).astype(np.float32), "c": np.array(True)}
    model = eie.compress(whole, None, x, terms=2)
    assert len(model.layers) == 2
    assert sqnr_db(evaluate(graph, {"x": x["x"]})["y"], eie.reference(model, x)) > 35


def test_a_qdq_network_is_one_chain_of_its_own_integers(tmp_path):
    rng = np.random.default_rng(0)
    graph, integers = quantised(rng, (24, 20, 8, 12))
    x = rng.normal(0, 1, (200, 24)).astype(np.float32)
    model = eie.compress(graph, None, x, terms=2)
    assert [node.operator for node in model.graph.nodes] == ["QuantizeLinear", "DequantizeLinear", "Gemm"]
    for layer, wanted in zip(model.layers, integers, strict=True):
        factor = np.abs(layer.dense_integers()).max() // np.abs(wanted).max()
        assert np.array_equal(layer.dense_integers(), factor * wanted)
    assert all(0 <= row["unequal"] < 0.01 for row in model.metadata["compression"]["layers"])
    eie.save(model, tmp_path / "q.eie")
    assert eie.load(tmp_path / "q.eie") == model
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        y = accelerator.run(x, model=model, verify=True)
    wanted = evaluate(graph, {"x": x})["y"]
    steps = np.rint((y - wanted) / np.float32(0.05))
    assert np.abs(steps).max() <= 2 and np.count_nonzero(steps) < 0.02 * steps.size
    assert sqnr_db(wanted, y) > 45


@pytest.mark.parametrize("bounds", [("low", "high"), ("", "high"), ("low", "")])
def test_quantisers_of_fewer_bits_than_their_type_has_clip_the_integers(bounds):
    """As Brevitas writes them: a convolution's inputs of 2 bits, then a fully connected layer's."""
    rng = np.random.default_rng(0)
    limits = [7 if bounds[0] else 0, 13 if bounds[1] else 255]
    constants = {"zero": np.uint8(10), "s": np.float32(0.25), "low": np.uint8(7), "high": np.uint8(13)}
    constants["k"] = (rng.integers(-1, 2, (4, 2, 3)) * 0.125).astype(np.float32)
    constants["w"] = (rng.integers(-3, 4, (5, 4 * 8)) * 0.0625).astype(np.float32)
    nodes, name = [], "x"
    for i, layer in enumerate((Node("Conv", ("d0", "k"), ("c",)), Node("Gemm", ("f", "w"), ("g",), {"transB": 1}))):
        nodes += [
            Node("QuantizeLinear", (name, "s", "zero"), (f"q{i}",)),
            Node("Clip", (f"q{i}", *bounds), (f"n{i}",)),
            Node("DequantizeLinear", (f"n{i}", "s", "zero"), (f"d{i}",)),
            *([Node("Flatten", (f"d{i}",), ("f",))] if i else []),
            layer,
        ]
        name = layer.outputs[0]
    graph = Graph(nodes, [Value("x", "float32", ("batch", 2, 10))], [Value("g")], constants)
    makers = {node.outputs[0]: node for node in graph.nodes}
    assert data_grid("f", makers, constants) == Grid(0.25, limits[0] - 10, limits[1] - 10)
    x = rng.normal(0, 0.4, (50, 2, 10)).astype(np.float32)
    model = eie.compress(graph, None, x)
    np.testing.assert_allclose(eie.reference(model, x), evaluate(graph, {"x": x})["g"], atol=1e-6)


def test_a_layer_before_a_quantiser_of_fewer_bits_gives_its_integers():
    rng = np.random.default_rng(0)
    graph, _ = quantised(rng, (24, 20, 12))
    nodes = []
    for node in graph.nodes:
        nodes.append(node)
        if node.operator == "QuantizeLinear":
            (name,) = node.outputs
            nodes[-1] = Node("QuantizeLinear", node.inputs, (f"{name} wide",))
            nodes.append(Node("Clip", (f"{name} wide", "low", "high"), (name,)))
    constants = {**graph.constants, "low": np.uint8(4), "high": np.uint8(35)}
    narrow = Graph(nodes, graph.inputs, graph.outputs, constants)
    x = rng.normal(0, 1, (200, 24)).astype(np.float32)
    model = eie.compress(narrow, None, x, terms=2)
    assert [node.operator for node in model.graph.nodes] == ["QuantizeLinear", "Clip", "DequantizeLinear", "Gemm"]
    wanted, y = evaluate(narrow, {"x": x})["y"], eie.reference(model, x)
    levels = np.rint(y / np.float32(0.05))
    assert levels.min() == 4 - 10 and levels.max() == 35 - 10, "what is clipped is clipped on the array"
    assert np.abs(levels - np.rint(wanted / np.float32(0.05))).max() <= 2 and sqnr_db(wanted, y) > 40


def test_one_term_is_too_few_for_the_integers():
    rng = np.random.default_rng(0)
    graph, _ = quantised(rng, (24, 20, 12))
    model = eie.compress(graph, None, rng.normal(0, 1, (64, 24)).astype(np.float32), row_scales=False)
    assert all(layer.scaling is None for layer in model.layers)


@pytest.mark.skipif(not AD.is_file(), reason=f"{AD} is not there")
def test_the_autoencoder_quantised_by_onnxruntime_stays_what_it_is(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    quantization = pytest.importorskip("onnxruntime.quantization")
    with np.load(AD) as given_arrays:
        frames = given_arrays["spectrogram"].astype(np.float32)
        parts = [(given_arrays[f"weight{i}"], given_arrays[f"bias{i}"]) for i in range(LAYERS)]
    x = np.stack([frames[i : i + 5].ravel() for i in range(len(frames) - 4)])
    write_onnx(tmp_path / "ad.onnx", parts)

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = iter([{"x": x}])

        def get_next(self):
            return next(self.batches, None)

    quantization.quantize_static(
        tmp_path / "ad.onnx",
        tmp_path / "int8.onnx",
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
    )
    # As the file says it. Fused kernels saturate sums of two products to 16 bits on processors without VNNI.
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (wanted,) = runtime.InferenceSession(str(tmp_path / "int8.onnx"), options).run(None, {"x": x})
    model = eie.compress(tmp_path / "int8.onnx", None, x, terms=2)
    assert [node.operator for node in model.graph.nodes] == ["QuantizeLinear", "DequantizeLinear", "Gemm"]
    assert sqnr_db(wanted, eie.reference(model, x)) >= 40
