"""ONNX chains are read as onnx's own evaluator computes them; everything else is refused by operator and node."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from eie.errors import NetworkError
from eie.network.readers import read_network

RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def write(path, nodes, constants, shape, output="y", inputs=("x",)):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs, [output], name=f"{operator.lower()}_{output}", **attributes)


def evaluate(layers, x):
    """Compute float layers on rows of inputs."""
    for layer in layers:
        x = x @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return x


def assert_equal_to_onnx(path, x, columns=False, flat=None):
    layers = read_network(path)
    (want,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    rows = x.T if columns else x.reshape(flat or x.shape)
    got = evaluate(layers, rows)
    assert np.allclose(got.T if got.shape != want.shape else got, want, atol=1e-4)
    return layers


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_with_the_data_first(tmp_path, trans_a, trans_b):
    constants = {"w": array(6, 4) if trans_b else array(4, 6), "b": array(6)}
    nodes = [node("Gemm", ["x", "w", "b"], "y", transA=trans_a, transB=trans_b, alpha=0.5, beta=3.0)]
    x = array(4, 5) if trans_a else array(5, 4)
    layers = read_network(write(tmp_path / "n.onnx", nodes, constants, list(x.shape)))
    (want,) = ReferenceEvaluator(str(tmp_path / "n.onnx")).run(None, {"x": x})
    assert np.allclose(evaluate(layers, x.T if trans_a else x), want, atol=1e-4)


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_with_the_weights_first(tmp_path, trans_a, trans_b):
    constants = {"w": array(4, 6) if trans_a else array(6, 4), "b": array(6, 1)}
    nodes = [node("Gemm", ["w", "x", "b"], "y", transA=trans_a, transB=trans_b)]
    x = array(5, 4) if trans_b else array(4, 5)
    layers = read_network(write(tmp_path / "n.onnx", nodes, constants, list(x.shape)))
    (want,) = ReferenceEvaluator(str(tmp_path / "n.onnx")).run(None, {"x": x})
    assert np.allclose(evaluate(layers, x if trans_b else x.T).T, want, atol=1e-4)


@pytest.mark.parametrize("bias_first", [False, True])
def test_matmul_of_rows_then_add_in_either_order(tmp_path, bias_first):
    constants = {"w": array(4, 6), "b": array(6), "v": array(6, 3), "c": array(1, 3)}
    nodes = [
        node("MatMul", ["x", "w"], "t1"),
        node("Add", ["b", "t1"] if bias_first else ["t1", "b"], "t2"),
        node("Relu", ["t2"], "t3"),
        node("MatMul", ["t3", "v"], "t4"),
        node("Add", ["c", "t4"] if bias_first else ["t4", "c"], "y"),
    ]
    layers = assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, ["batch", 4]), array(5, 4))
    assert [layer.activation for layer in layers] == ["relu", None]


def test_matmul_of_columns(tmp_path):
    constants = {"w": array(6, 4), "b": array(6, 1), "v": array(3, 6)}
    nodes = [
        node("MatMul", ["w", "x"], "t1"),
        node("Add", ["t1", "b"], "t2"),
        node("Relu", ["t2"], "t3"),
        node("MatMul", ["v", "t3"], "y"),
    ]
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, [4, 5]), array(4, 5), columns=True)


def test_matmul_of_a_vector_on_either_side(tmp_path):
    constants = {"w": array(6, 4), "b": array(6), "v": array(6, 3)}
    nodes = [node("MatMul", ["w", "x"], "t1"), node("Add", ["t1", "b"], "t2"), node("MatMul", ["t2", "v"], "y")]
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, [4]), array(4))


@pytest.mark.parametrize("shape", [[0, -1], [-1, 12], [5, 12]])
def test_images_may_be_flattened_or_reshaped(tmp_path, shape):
    nodes = [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"], "y", transB=1)]
    path = write(tmp_path / "f.onnx", nodes, {"w": array(6, 12)}, ["batch", 3, 2, 2])
    assert_equal_to_onnx(path, array(5, 3, 2, 2), flat=(5, 12))
    nodes = [node("Reshape", ["x", "s"], "f"), node("Gemm", ["f", "w"], "y", transB=1)]
    path = write(tmp_path / "r.onnx", nodes, {"w": array(6, 12), "s": np.array(shape)}, ["batch", 3, 2, 2])
    assert_equal_to_onnx(path, array(5, 3, 2, 2), flat=(5, 12))


def test_constant_nodes_and_identities_are_weights_too(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(array(4, 6))),
        node("Identity", ["c"], "w"),
        node("Identity", ["x"], "x2"),
        node("MatMul", ["x2", "w"], "t"),
        node("Identity", ["t"], "y"),
    ]
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, {}, ["batch", 4]), array(5, 4))


def test_two_biases_add_up_and_a_scalar_is_spread(tmp_path):
    nodes = [node("Gemm", ["x", "w", "b"], "t"), node("Add", ["t", "s"], "y")]
    constants = {"w": array(4, 6), "b": array(6), "s": array(1)}
    (layer,) = assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, ["batch", 4]), array(5, 4))
    assert layer.bias.shape == (6,)


W = {"w": array(4, 4), "b": array(4)}


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        (
            [node("MatMul", ["x", "w"], "t"), node("Gemm", ["t", "w"], "y", transA=1)],
            W,
            r"Gemm node 'gemm_y' takes its input as \(features, batch\)",
        ),
        ([node("Conv", ["x", "w"], "y")], W, "Conv node 'conv_y' is not supported"),
        ([node("Gemm", ["x", "w"], "t"), node("Softmax", ["t"], "y")], W, "Softmax node 'softmax_y' is not supported"),
        ([node("Relu", ["x"], "t"), node("MatMul", ["t", "w"], "y")], W, "Relu node 'relu_t' comes before"),
        ([node("Add", ["x", "b"], "t"), node("MatMul", ["t", "w"], "y")], W, "Add node 'add_t' does not follow"),
        (
            [node("MatMul", ["x", "w"], "t"), node("Relu", ["t"], "u"), node("Add", ["u", "b"], "y")],
            W,
            "Add node 'add_y' does not follow",
        ),
        ([node("MatMul", ["x", "w"], "t"), node("Add", ["t", "x"], "y")], W, "Add node 'add_y' computes with 't', 'x'"),
        ([node("MatMul", ["x", "x"], "y")], W, "MatMul node 'matmul_y' computes with 'x', 'x'"),
        (
            [node("MatMul", ["x", "w"], "t"), node("MatMul", ["x", "w"], "y")],
            W,
            "MatMul node 'matmul_y' computes with 'x'.*must take 't'",
        ),
        ([node("MatMul", ["x", "w"], "y"), node("Relu", ["y"], "z")], W, "puts out.*'y'.*ends in 'z'"),
        ([node("MatMul", ["x", "w"], "y")], {"w": array(2, 4, 4)}, r"MatMul node 'matmul_y': weight 'w'.*\(2, 4, 4\)"),
        ([node("MatMul", ["x", "w"], "y")], {"w": np.ones((4, 4), np.int64)}, "'matmul_y': constant 'w' is int64"),
        (
            [node("MatMul", ["x", "w"], "t"), node("Add", ["t", "b"], "y")],
            {"w": array(4, 4), "b": array(3)},
            r"Add node 'add_y': its bias has shape \(3,\)",
        ),
        (
            [node("MatMul", ["x", "w"], "t"), node("MatMul", ["w", "t"], "y")],
            W,
            r"MatMul node 'matmul_y' takes its input as \(features, batch\)",
        ),
        (
            [node("Flatten", ["x"], "t", axis=0), node("MatMul", ["t", "w"], "y")],
            W,
            "Flatten node 'flatten_t' has axis 0",
        ),
        (
            [node("Reshape", ["x", "s"], "t"), node("MatMul", ["t", "w"], "y")],
            {**W, "s": np.array([2, 2, -1])},
            r"Reshape node 'reshape_t' reshapes to \[2, 2, -1\]",
        ),
        (
            [node("MatMul", ["x", "w"], "t"), node("Reshape", ["t", "s"], "y")],
            {**W, "s": np.array([-1, 2])},
            r"Reshape node 'reshape_y' reshapes to \[-1, 2\]",
        ),
        ([node("Gemm", ["x"], "y")], W, "Gemm node 'gemm_y' has 1 inputs"),
        ([helper.make_node("Constant", [], ["c"], name="k", value_float=1.0)], W, "Constant node 'k' is not supported"),
        (
            [helper.make_node("Relu", ["x"], ["y"], name="mine", domain="com.me")],
            W,
            "Relu node 'mine' is not supported",
        ),
    ],
)
def test_other_graphs_are_refused_by_operator_and_node(tmp_path, nodes, constants, message):
    with pytest.raises(NetworkError, match=message):
        read_network(write(tmp_path / "n.onnx", nodes, constants, ["batch", 4]))


def test_images_must_be_flattened_first(tmp_path):
    path = write(tmp_path / "n.onnx", [node("MatMul", ["x", "w"], "y")], W, ["batch", 3, 4])
    with pytest.raises(NetworkError, match="flatten it first"):
        read_network(path)


def test_a_graph_of_two_inputs_is_refused(tmp_path):
    path = write(tmp_path / "n.onnx", [node("MatMul", ["x", "w"], "y")], W, ["batch", 4], inputs=("x", "z"))
    with pytest.raises(NetworkError, match="2 inputs"):
        read_network(path)


def test_damaged_files_are_refused(tmp_path):
    path = write(tmp_path / "n.onnx", [node("Gemm", ["x", "w", "b"], "y")], W, ["batch", 4])
    whole = path.read_bytes()
    for length in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(NetworkError, match=r"n\.onnx"):
            read_network(path)
    graph = onnx.load_from_string(whole)
    graph.graph.initializer[0].dims[0] = 1000
    onnx.save(graph, str(path))
    with pytest.raises(NetworkError, match="not a readable"):
        read_network(path)
