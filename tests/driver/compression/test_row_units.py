"""Rows that differ in size, of convolutions and of recurrent layers: each keeps its precision."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import eie
from eie.compression.row_units import in_units, offsets_of_rows, row_units
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.graph_readers import read_graph
from eie.network.operators.linear import Matrix

RNG = np.random.default_rng(0)
SIZES = np.array([100, 1, 0.01, 30, 3, 1], np.float32)
X = RNG.standard_normal((64, 3, 8, 8)).astype(np.float32)


def convolution(sizes):
    weight = RNG.standard_normal((len(sizes), 3, 3, 3)).astype(np.float32) * sizes[:, None, None, None]
    bias = RNG.standard_normal(len(sizes)).astype(np.float32) * sizes
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    graph = helper.make_graph(
        nodes,
        "sizes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def channel_sqnr_db(network, model):
    (want,) = evaluate(read_graph(network), {"x": X}).values()
    error = want - eie.reference(model, X)
    return 10 * np.log10((want**2).sum(axis=(0, 2, 3)) / (error**2).sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("terms, least", [(1, 16), (2, 38)])
def test_small_channels_are_as_precise_as_large_ones(terms, least):
    network = convolution(SIZES)
    model = eie.compress(network, 1.0, X, terms=terms)
    assert channel_sqnr_db(network, model).min() > least


@pytest.mark.parametrize("terms, least", [(1, 16), (2, 38)])
def test_a_channel_that_is_all_bias_leaves_the_others_theirs(terms, least):
    network = convolution(SIZES)
    weight, bias = (numpy_helper.to_array(tensor).copy() for tensor in network.graph.initializer)
    weight[1], bias[1] = 1e-9 * weight[1], 1
    for tensor, array, name in zip(network.graph.initializer, (weight, bias), "wb", strict=True):
        tensor.CopyFrom(numpy_helper.from_array(array, name))
    assert channel_sqnr_db(network, eie.compress(network, 1.0, X, terms=terms)).min() > least


def test_channels_about_a_number_far_from_0_leave_the_others_their_precision(tmp_path):
    network = convolution(np.ones(6, np.float32))
    del network.graph.node[1]  # no ReLU
    network.graph.output[0].name = "y"
    network.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.array([300, 0, -200, 1, 0, 2], np.float32), "b"))
    model = eie.compress(network, 1.0, X, terms=2)
    (product,) = model.array_products()
    assert list(product.offsets != 0) == [True, False, True, False, False, False]
    (want,) = evaluate(read_graph(network), {"x": X}).values()
    error = np.abs(want - eie.reference(model, X)).max(axis=(0, 2, 3))
    assert error.max() < 3 * error[[1, 4]].max(), "an error of 300 in 16 bits would be ten times those of the others"
    eie.save(model, tmp_path / "net.eie")
    assert eie.load(tmp_path / "net.eie") == model
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.array_equal(accelerator.run(X[:3], model=model, verify=True), eie.reference(model, X[:3]))
        beyond = 1.9 * X[:3]
        assert np.array_equal(accelerator.run(beyond, model=model), eie.reference(model, beyond))
        assert accelerator.saturation.outputs == (0,)


def test_offsets_are_for_rows_far_from_0_only():
    lows, highs = np.array([-1.0, 40, -90, np.inf]), np.array([1.0, 41, -86, -np.inf])
    offsets, largest = offsets_of_rows(lows, highs, may_have=True)
    assert offsets.tolist() == [0, 40.5, -88, 0] and largest == 4
    assert offsets_of_rows(lows, highs, may_have=False) == (None, 90)
    assert offsets_of_rows(lows[:1], highs[:1], may_have=True) == (None, 1)
    assert offsets_of_rows(lows[3:], highs[3:], may_have=True) == (None, 0)


def test_one_vector_does_not_say_that_rows_hardly_vary():
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((24, 16, 1)).astype(np.float32)
    graph = Graph([Node("Conv", ("x", "w"), ("y",))], [Value("x", "float32", (1, 16, 1))], [Value("y")], {"w": weight})
    model = eie.compress(graph, 1.0, rng.standard_normal((1, 16, 1)).astype(np.float32), terms=2)
    x = rng.uniform(-1, 1, (20, 16, 1)).astype(np.float32)
    want = np.concatenate([evaluate(graph, {"x": one[None]})["y"] for one in x])
    got = np.concatenate([eie.reference(model, one[None]) for one in x])
    assert np.square(want - got).mean() < 0.03 * np.square(want).mean()
    assert [product.offsets for product in model.array_products()] == [None]


def test_the_array_computes_them_and_a_file_keeps_them(tmp_path):
    model = eie.compress(convolution(SIZES), 0.5, X)
    (product,) = model.array_products()
    assert len({*product.output_scales}) > 1
    eie.save(model, tmp_path / "net.eie")
    loaded = eie.load(tmp_path / "net.eie")
    assert loaded == model
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.array_equal(accelerator.run(X[:3], model=loaded, verify=True), eie.reference(model, X[:3]))


def test_a_layer_that_loses_nothing_has_no_units():
    network = convolution(np.ones(6, np.float32))
    weight = numpy_helper.to_array(network.graph.initializer[0])
    few = np.round(weight).clip(-2, 2) + 0.5  # a handful of values, none of them 0
    network.graph.initializer[0].CopyFrom(numpy_helper.from_array(few.astype(np.float32), "w"))
    (product,) = eie.compress(network, None, X).array_products()
    assert product.output_scales is None


def test_units_are_the_largest_weights_of_the_rows():
    matrix = Matrix(RNG.standard_normal((6, 9)).astype(np.float32) * SIZES[:, None], SIZES)
    matrix.weight[1] = 0
    units = row_units(matrix, 1, 1.0)
    assert row_units(Matrix(np.eye(3, dtype=np.float32)), 1, 1.0) is None, "alike: one unit serves all"
    scaled = in_units(matrix, units)
    assert np.allclose(np.abs(scaled.weight).max(axis=1), [1, 0, 1, 1, 1, 1])
    assert np.allclose(scaled.weight * units[:, None], matrix.weight)
    assert np.allclose(scaled.bias * units, matrix.bias)


@pytest.mark.parametrize("operator, gates", [("LSTM", 4), ("RNN", 1)])
def test_recurrent_layers_with_the_host_in_the_loop_have_units(operator, gates):
    shapes = {"w": (1, 5 * gates, 4), "r": (1, 5 * gates, 5)}
    constants = {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    attributes = {"clip": 6.0}  # which the array's cells do not have
    node = Node(operator, ("x", "w", "r"), ("y",), attributes)
    graph = Graph([node], [Value("x", "float32", ("time", "batch", 4))], [Value("y")], constants)
    x = RNG.standard_normal((40, 3, 4)).astype(np.float32)
    model = eie.compress(graph, 1.0, x, terms=2)
    assert all(len({*product.output_scales}) > 1 for product in model.array_products())
    want = evaluate(graph, {"x": x})["y"]
    assert 10 * np.log10((want**2).sum() / ((eie.reference(model, x) - want) ** 2).sum()) > 30
