"""Products of integers, as quantisers of ONNX files write them, are the array's like any others."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

RNG = np.random.default_rng(0)


def model_of(nodes, constants, shape, version=19, kind=TensorProto.FLOAT, gives=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", gives, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def dynamic_layer(number, x, columns, rows, activation):
    """Return a layer whose inputs are quantised as it runs, its weights by column."""
    names = {key: f"{key}{number}" for key in ("q", "s", "z", "i", "f", "u", "p", "b")}
    w = RNG.integers(-127, 128, (columns, rows), np.int8)
    constants = {
        f"w{number}": w,
        f"wz{number}": RNG.integers(-3, 4, rows).astype(np.int8),
        f"ws{number}": RNG.uniform(0.002, 0.02, rows).astype(np.float32),
        f"c{number}": RNG.standard_normal(rows).astype(np.float32),
    }
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [x], [names["q"], names["s"], names["z"]]),
        helper.make_node("MatMulInteger", [names["q"], f"w{number}", names["z"], f"wz{number}"], [names["i"]]),
        helper.make_node("Cast", [names["i"]], [names["f"]], to=TensorProto.FLOAT),
        helper.make_node("Mul", [names["s"], f"ws{number}"], [names["u"]]),
        helper.make_node("Mul", [names["f"], names["u"]], [names["p"]]),
        helper.make_node("Add", [names["p"], f"c{number}"], [names["b"]]),
    ]
    return [*nodes, helper.make_node(activation, [names["b"]], [f"y{number}"])], constants


def test_layers_whose_inputs_are_quantised_as_they_run_are_the_arrays():
    first, constants = dynamic_layer(1, "x", 20, 32, "Relu")
    second, others = dynamic_layer(2, "y1", 32, 6, "Identity")
    last = helper.make_node("Identity", ["y2"], ["y"])
    model = model_of([*first, *second, last], {**constants, **others}, ["batch", 20])
    x = RNG.standard_normal((32, 20)).astype(np.float32)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    (got,) = evaluate(read_graph(model), {"x": x}).values()
    np.testing.assert_allclose(got, want, atol=1e-4)
    compressed = eie.compress(model, 1.0, x, terms=2)
    assert [(layer.rows, layer.columns) for layer in compressed.layers] == [(32, 20), (6, 32)]
    with eie.Accelerator("emulated") as acc:
        y = acc.run(x, model=compressed, verify=True)
    assert np.square(y - want).sum() < 1e-4 * np.square(want).sum()


@pytest.mark.parametrize("group", [1, 2])
def test_quantised_convolutions_are_those_between_quantisers(group):
    w = RNG.integers(-127, 128, (4, 4 // group, 3, 3), np.int8)
    constants = {
        **{"xs": np.float32(0.02), "xz": np.uint8(120), "ys": np.float32(0.05), "yz": np.uint8(128), "w": w},
        "ws": RNG.uniform(0.002, 0.01, 4).astype(np.float32),
        **{"wz": np.zeros(4, np.int8), "b": RNG.integers(-900, 900, 4).astype(np.int32)},
    }
    given = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    node = helper.make_node("QLinearConv", given, ["y"], pads=[1, 1, 1, 1], group=group)
    shape = [2, 4, 6, 5]
    kinds = {"kind": TensorProto.UINT8, "gives": TensorProto.UINT8}
    x = RNG.integers(0, 256, shape).astype(np.uint8)
    (got,) = evaluate(read_graph(model_of([node], constants, shape, **kinds)), {"x": x}).values()
    floats = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["f"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["v"], axis=0),
        helper.make_node("Conv", ["f", "v", "c"], ["p"], pads=[1, 1, 1, 1], group=group),
        helper.make_node("QuantizeLinear", ["p", "ys", "yz"], ["y"]),
    ]
    constants["c"] = (constants["b"] * constants["xs"] * constants["ws"]).astype(np.float32)
    (want,) = ReferenceEvaluator(model_of(floats, constants, shape, **kinds)).run(None, {"x": x})
    assert got.dtype == np.uint8 and np.ptp(want.astype(int)) > 100
    assert np.abs(got.astype(int) - want).max() <= 1 and np.mean(got != want) < 0.01


def test_zero_points_of_rows_and_columns_are_theirs():
    w = RNG.integers(-127, 128, (3, 4), np.int8)
    constants = {"w": w, "xz": np.array([1, 2], np.uint8), "wz": np.array([-1, 0, 5, 9], np.int8)}
    node = helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"])
    x = RNG.integers(0, 256, (2, 3)).astype(np.uint8)
    model = model_of([node], constants, [2, 3], 10, TensorProto.UINT8, TensorProto.INT32)
    (got,) = evaluate(read_graph(model), {"x": x}).values()
    want = (x.astype(int) - constants["xz"][:, None]) @ (w.astype(int) - constants["wz"])
    assert got.dtype == np.int32 and np.array_equal(got, want)


def test_a_zero_point_of_unknown_shape_is_refused():
    nodes = [
        helper.make_node("Cast", ["x"], ["z"], to=TensorProto.INT8),
        helper.make_node("Cast", ["x"], ["q"], to=TensorProto.INT8),
        helper.make_node("MatMulInteger", ["q", "w", "", "z"], ["y"], name="product"),
    ]
    model = model_of(nodes, {"w": np.ones((4, 4), np.int8)}, None, gives=TensorProto.INT32)
    with pytest.raises(NetworkError, match="MatMulInteger node 'product': the shape of 'z' is not known; make it"):
        read_graph(model)
