"""What ONNX Runtime's quantiser and optimiser write is read as the plain operators that it stands for."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

RNG = np.random.default_rng(0)
RUNTIME = "com.microsoft"


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def integers(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def weights(*shape):
    return RNG.integers(-127, 128, shape, np.int8)


def node(operator, inputs, outputs="y", domain=RUNTIME, **attributes):
    return helper.make_node(operator, inputs, outputs.split(), domain=domain, **attributes)


def plain(operator, inputs, outputs="y", **attributes):
    return node(operator, inputs, outputs, "", **attributes)


def model_of(nodes, constants, data, outputs=("y",), kind=TensorProto.FLOAT, version=21):
    kinds = {name: helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in data.items()}
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, kinds[name], [None] * x.ndim) for name, x in data.items()],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", version), helper.make_opsetid(RUNTIME, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def assert_same(nodes, equivalent, constants, data, outputs=("y",), kind=TensorProto.FLOAT, version=14):
    want = ReferenceEvaluator(model_of(equivalent, constants, data, outputs, kind)).run(None, data)
    graph = read_graph(model_of(nodes, constants, data, outputs, kind, version))
    for expected, got in zip(want, evaluate(graph, data).values(), strict=True):
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert len(np.unique(expected)) > 3
        tolerance = 1e-5 if kind == TensorProto.FLOAT else 1  # a rounding the other way
        np.testing.assert_allclose(got.astype(float), expected.astype(float), atol=tolerance, rtol=1e-5)


UNITS = {
    **{"as": np.float32(0.02), "az": np.uint8(120), "bs": np.float32(0.03), "bz": np.uint8(100)},
    **{"ys": np.float32(0.05), "yz": np.uint8(128)},
}
A, B, Y = ["a", "as", "az"], ["b", "bs", "bz"], ["ys", "yz"]
PICTURE = {"a": (2, 3, 6, 6)}


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "equivalent", "plain_attributes", "shapes"),
    [
        ("QLinearAdd", [*A, *B, *Y], {}, "Add", {}, {"a": (4, 9), "b": (1, 9)}),
        ("QLinearMul", [*A, *B, *Y], {}, "Mul", {}, {"a": (4, 9), "b": (4, 9)}),
        ("QLinearSigmoid", [*A, *Y], {}, "Sigmoid", {}, {"a": (4, 9)}),
        ("QLinearLeakyRelu", [*A, *Y], {"alpha": 0.2}, "LeakyRelu", {"alpha": 0.2}, {"a": (4, 9)}),
        ("QLinearAveragePool", [*A, *Y], {"kernel_shape": [2, 2]}, "AveragePool", {"kernel_shape": [2, 2]}, PICTURE),
        ("QLinearGlobalAveragePool", [*A, *Y], {}, "GlobalAveragePool", {}, {"a": (4, 3, 3, 2)}),
        ("QLinearSoftmax", [*A, "ss", "yz"], {"axis": 1, "opset": 13}, "Softmax", {"axis": 1}, {"a": (4, 9)}),
        ("QLinearConcat", [*Y, *A, *B], {"axis": 1}, "Concat", {"axis": 1}, {"a": (4, 2), "b": (4, 5)}),
        ("QLinearWhere", ["c", *A, *B, *Y], {}, "Where", {}, {"a": (4, 9), "b": (4, 9)}),
    ],
)
def test_operators_of_quantised_tensors_are_those_between_quantisers(
    operator, inputs, attributes, equivalent, plain_attributes, shapes
):
    data = {name: integers(*shape) for name, shape in shapes.items()}
    constants = {**UNITS, "ss": np.float32(1 / 128)}
    given = ["x", "z"][: len(data)]
    if "c" in inputs:
        constants["c"] = RNG.random((4, 9)) > 0.5
        given = ["c", *given]
    scale = "ss" if "ss" in inputs else "ys"
    between = [
        plain("DequantizeLinear", A, "x"),
        *([plain("DequantizeLinear", B, "z")] if "b" in data else []),
        plain(equivalent, given, "p", **plain_attributes),
        plain("QuantizeLinear", ["p", scale, "yz"]),
    ]
    assert_same([node(operator, inputs, **attributes)], between, constants, data, kind=TensorProto.UINT8)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("quantised", [False, True])
def test_quantised_gemm_has_units_by_column_and_an_integer_bias(turned, quantised):
    constants = {
        **UNITS,
        "w": weights(4, 6) if turned else weights(6, 4),
        "ws": RNG.uniform(0.002, 0.01, 4).astype(np.float32),
        **{"wz": weights(4) // 16, "c": RNG.integers(-999, 999, 4).astype(np.int32)},
    }
    constants["bias"] = (constants["c"] * constants["as"] * constants["ws"]).astype(np.float32)
    between = [
        plain("DequantizeLinear", A, "x"),
        plain("DequantizeLinear", ["w", "ws", "wz"], "v", axis=1 - turned),
        plain("Gemm", ["x", "v", "bias"], "p" if quantised else "y", transB=turned),
        *([plain("QuantizeLinear", ["p", *Y])] if quantised else []),
    ]
    inputs = [*A, "w", "ws", "wz", "c", *(Y if quantised else [])]
    kind = TensorProto.UINT8 if quantised else TensorProto.FLOAT
    assert_same([node("QGemm", inputs, transB=turned)], between, constants, {"a": integers(5, 6)}, kind=kind)


def test_products_quantised_as_they_run_have_their_scales_and_bias():
    constants = {"w": weights(6, 4), "ws": np.float32(0.01), "wz": np.int8(3), "b": floats(4)}
    equivalent = [
        plain("DynamicQuantizeLinear", ["a"], "q s z"),
        plain("MatMulInteger", ["q", "w", "z", "wz"], "i"),
        plain("Cast", ["i"], "f", to=TensorProto.FLOAT),
        plain("Mul", ["s", "ws"], "u"),
        plain("Mul", ["f", "u"], "p"),
        plain("Add", ["p", "b"]),
    ]
    whole = [node("DynamicQuantizeMatMul", ["a", "w", "ws", "wz", "b"])]
    assert_same(whole, equivalent, constants, {"a": floats(5, 6)})
    parts = [equivalent[0], node("MatMulIntegerToFloat", ["q", "w", "s", "ws", "z", "wz", "b"])]
    assert_same(parts, equivalent, constants, {"a": floats(5, 6)})


ACTIVATIONS = [
    ("Relu", [], {}),
    ("Tanh", [], {}),
    ("LeakyRelu", [0.2], {"alpha": 0.2}),
    ("HardSigmoid", [0.3, 0.4], {"alpha": 0.3, "beta": 0.4}),
]


@pytest.mark.parametrize(("activation", "values", "attributes"), ACTIVATIONS)
def test_convolutions_have_their_activations(activation, values, attributes):
    constants, data = {"w": floats(4, 3, 3, 3), "b": floats(4)}, {"a": floats(2, 3, 7, 7), "z": floats(2, 4, 7, 7)}
    given = {"activation_params": values} if values else {}
    fused = node("FusedConv", ["a", "w", "b", "z"], activation=activation, pads=[1, 1, 1, 1], **given)
    equivalent = [
        plain("Conv", ["a", "w", "b"], "p", pads=[1, 1, 1, 1]),
        plain("Add", ["p", "z"], "s"),
        plain(activation, ["s"], **attributes),
    ]
    assert_same([fused], equivalent, constants, data)


def test_convolutions_are_clipped():
    constants = {"w": floats(4, 3, 3, 3), "low": np.float32(-0.5), "high": np.float32(2.5)}
    fused = node("FusedConv", ["a", "w"], activation="Clip", activation_params=[-0.5, 2.5])
    equivalent = [plain("Conv", ["a", "w"], "p"), plain("Clip", ["p", "low", "high"])]
    assert_same([fused], equivalent, constants, {"a": floats(2, 3, 7, 7)})


def test_fused_products_are_turned_and_scaled():
    data = {"a": floats(2, 5, 3, 4), "b": floats(2, 5, 6, 3)}
    fused = node("FusedMatMul", ["a", "b"], transA=1, transB=1, alpha=0.3)
    equivalent = [
        plain("Transpose", ["a"], "s", perm=[0, 1, 3, 2]),
        plain("Transpose", ["b"], "t", perm=[0, 1, 3, 2]),
        plain("MatMul", ["s", "t"], "p"),
        plain("Mul", ["p", "alpha"]),
    ]
    assert_same([fused], equivalent, {"alpha": np.float32(0.3)}, data)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "equivalent"),
    [
        ("Gelu", ["a"], {}, [plain("Gelu", ["a"])]),
        ("BiasGelu", ["a", "b"], {}, [plain("Add", ["a", "b"], "p"), plain("Gelu", ["p"])]),
        ("FastGelu", ["a", "b"], {}, [plain("Add", ["a", "b"], "p"), plain("Gelu", ["p"], approximate="tanh")]),
        (
            "QuickGelu",
            ["a"],
            {"alpha": 1.5},
            [plain("Mul", ["a", "k"], "p"), plain("Sigmoid", ["p"], "s"), plain("Mul", ["a", "s"])],
        ),
        (
            "FusedGemm",
            ["a", "w", "b"],
            {"transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.3},
            [plain("Gemm", ["a", "w", "b"], "p", transB=1), plain("LeakyRelu", ["p"], alpha=0.3)],
        ),
    ],
)
def test_fused_activations_are_their_parts(operator, inputs, attributes, equivalent):
    constants = {"b": floats(4), "w": floats(4, 4), "k": np.float32(1.5)}
    assert_same([node(operator, inputs, **attributes)], equivalent, constants, {"a": floats(5, 4)})


def test_sums_are_normalised_and_given_beside():
    constants = {"g": floats(4), "b": floats(4), "c": floats(4)}
    data = {"a": floats(2, 3, 4), "s": floats(2, 3, 4)}
    fused = node("SkipLayerNormalization", ["a", "s", "g", "b", "c"], "y", epsilon=1e-3)
    fused.output[:] = ["y", "", "", "t"]
    equivalent = [
        plain("Add", ["a", "s"], "p"),
        plain("Add", ["p", "c"], "t"),
        plain("LayerNormalization", ["t", "g", "b"], epsilon=1e-3),
    ]
    assert_same([fused], equivalent, constants, data, ("y", "t"))


def test_layer_normalisation_is_read_in_files_whose_operator_set_lacks_it():
    norm = plain("LayerNormalization", ["a", "g", "b"], epsilon=1e-3)
    assert_same([norm], [norm], {"g": floats(4), "b": floats(4)}, {"a": floats(2, 3, 4)})


@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_lstms_of_int8_weights_are_the_arrays(direction, by_row):
    d, size, columns, batch = (2 if direction == "bidirectional" else 1), 8, 6, 3
    constants = {
        **{"w": weights(d, columns, 4 * size), "r": weights(d, size, 4 * size), "b": 0.3 * floats(d, 8 * size)},
        **{"h": 0.5 * floats(d, batch, size), "c": floats(d, batch, size)},
    }
    shape = (d, 4 * size) if by_row else (d,)
    for name in "wr":
        scale, zero = RNG.uniform(0.002, 0.005, shape).astype(np.float32), RNG.integers(-3, 4, shape).astype(np.int8)
        real = (constants[name] - zero.reshape(d, 1, -1).astype(np.float32)) * scale.reshape(d, 1, -1)
        constants.update({f"{name}s": scale, f"{name}z": zero, f"{name}real": real.swapaxes(1, 2).astype(np.float32)})
    inputs = ["x", "w", "r", "b", "", "h", "c", "", "ws", "wz", "rs", "rz"]
    lstm = node("DynamicQuantizeLSTM", inputs, "y yh yc", hidden_size=size, direction=direction)
    real = ["x", "wreal", "rreal", "b", "", "h", "c"]
    equivalent = plain("LSTM", real, "y yh yc", hidden_size=size, direction=direction)
    data, outputs = {"x": floats(5, batch, columns)}, ("y", "yh", "yc")
    assert_same([lstm], [equivalent], constants, data, outputs)
    compressed = eie.compress(model_of([lstm], constants, data, version=14), 1.0, data, terms=2)
    (want,) = ReferenceEvaluator(model_of([equivalent], constants, data)).run(None, data)
    with eie.Accelerator("emulated") as acc:
        y = acc.run(data, model=compressed, verify=True)
    assert np.square(y - want).sum() < 1e-4 * np.square(want).sum()


def test_what_is_not_computed_is_refused_by_name():
    given = node("SkipLayerNormalization", ["a", "s", "g"], "y mean")
    given.name = "norm"
    data = {"a": floats(2, 3, 4), "s": floats(2, 3, 4)}
    with pytest.raises(NetworkError, match="SkipLayerNormalization node 'norm': the mean and deviation"):
        read_graph(model_of([given], {"g": floats(4)}, data))
    with pytest.raises(NetworkError, match=r"QLinearGlobalAveragePool node 'y': channels_last 1 is not supported"):
        read_graph(
            model_of([node("QLinearGlobalAveragePool", [*A, *Y], channels_last=1)], UNITS, {"a": integers(1, 2)})
        )
    attention = node("PackedAttention", ["a", "w", "b"], num_heads=2)
    with pytest.raises(NetworkError, match="PackedAttention node 'y': this operator of ONNX Runtime is not known"):
        read_graph(model_of([attention], {"w": floats(4, 12), "b": floats(12)}, {"a": floats(2, 3, 4)}))
