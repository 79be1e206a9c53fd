"""Convolutions whose channels differ much in size: each keeps its precision."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import eie
from eie.compression.row_units import in_units, row_units
from eie.network.evaluation import evaluate
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


def test_the_array_computes_them_and_a_file_keeps_them(tmp_path):
    model = eie.compress(convolution(SIZES), 0.5, X)
    (product,) = model.array_products()
    assert len({*product.output_scales}) > 1
    eie.save(model, tmp_path / "net.eie")
    loaded = eie.load(tmp_path / "net.eie")
    assert loaded == model
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.array_equal(accelerator.run(X[:3], model=loaded, verify=True), eie.reference(model, X[:3]))


def test_channels_that_are_alike_have_one_unit():
    (product,) = eie.compress(convolution(np.ones(6, np.float32)), 1.0, X).array_products()
    assert product.output_scales is None


def test_units_are_powers_of_two_and_lose_nothing():
    matrix = Matrix(RNG.standard_normal((6, 9)).astype(np.float32) * SIZES[:, None], SIZES)
    matrix.weight[1] = 0
    units = row_units(matrix)
    assert np.array_equal(np.exp2(np.rint(np.log2(units))), units)
    scaled = in_units(matrix, units)
    assert np.array_equal(scaled.weight * units[:, None], matrix.weight)
    assert np.array_equal(scaled.bias * units, matrix.bias)
