"""ONNX files are read as onnx's own evaluator computes them: chains as layers, all else as graphs."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.onnx_reader import read_onnx
from eie.network.readers import read_network
from tests.driver.network.onnx_bench import W, array, assert_equal_to_onnx, evaluate_layers, node, write


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_with_the_data_first(tmp_path, trans_a, trans_b):
    constants = {"w": array(6, 4) if trans_b else array(4, 6), "b": array(6)}
    nodes = [node("Gemm", ["x", "w", "b"], "y", transA=trans_a, transB=trans_b, alpha=0.5, beta=3.0)]
    x = array(4, 5) if trans_a else array(5, 4)
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, list(x.shape)), x, chain=not trans_a)


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("trans_a", [0, 1])
def test_gemm_with_the_weights_first(tmp_path, trans_a, trans_b):
    constants = {"w": array(4, 6) if trans_a else array(6, 4), "b": array(6, 1)}
    nodes = [node("Gemm", ["w", "x", "b"], "y", transA=trans_a, transB=trans_b)]
    x = array(5, 4) if trans_b else array(4, 5)
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, list(x.shape)), x, chain=False)


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
    graph = assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, [4, 5]), array(4, 5), chain=False)
    assert [n.operator for n in graph.nodes] == ["MatMul", "Relu", "MatMul"], "the bias is in the product"


def test_matmul_of_a_vector_on_either_side(tmp_path):
    constants = {"w": array(6, 4), "b": array(6), "v": array(6, 3)}
    nodes = [node("MatMul", ["w", "x"], "t1"), node("Add", ["t1", "b"], "t2"), node("MatMul", ["t2", "v"], "y")]
    assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, [4]), array(4), chain=False)


@pytest.mark.parametrize("shape", [[0, -1], [-1, 12], [5, 12]])
def test_images_may_be_flattened_or_reshaped(tmp_path, shape):
    nodes = [node("Flatten", ["x"], "f"), node("Gemm", ["f", "w"], "y", transB=1)]
    path = write(tmp_path / "f.onnx", nodes, {"w": array(6, 12)}, ["batch", 3, 2, 2])
    assert_equal_to_onnx(path, array(5, 3, 2, 2))
    nodes = [node("Reshape", ["x", "s"], "f"), node("Gemm", ["f", "w"], "y", transB=1)]
    path = write(tmp_path / "r.onnx", nodes, {"w": array(6, 12), "s": np.array(shape)}, ["batch", 3, 2, 2])
    assert_equal_to_onnx(path, array(5, 3, 2, 2))


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


def test_batch_normalisation_and_scalings_are_folded(tmp_path):
    constants = {"w": array(4, 6), "s": array(6), "b": array(6), "m": array(6), "v": abs(array(6)), "k": array(1, 6)}
    nodes = [
        node("MatMul", ["x", "w"], "t"),
        node("BatchNormalization", ["t", "s", "b", "m", "v"], "u"),
        node("Mul", ["k", "u"], "p"),
        node("Sub", ["b", "p"], "q"),
        node("Div", ["q", "k"], "y"),
    ]
    assert len(assert_equal_to_onnx(write(tmp_path / "n.onnx", nodes, constants, ["batch", 4]), array(5, 4))) == 1


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("group", [1, 2])
def test_scalings_of_channels_are_folded_into_convolutions(tmp_path, operator, group):
    weight = array(6, 4 // group, 3, 3) if operator == "Conv" else array(4, 6 // group, 3, 3)
    constants = {"w": weight, "s": array(6), "b": array(6), "m": array(6), "v": abs(array(6)), "k": array(6, 1, 1)}
    nodes = [
        node(operator, ["x", "w", "b"], "t", group=group),
        node("BatchNormalization", ["t", "s", "b", "m", "v"], "u"),
        node("Add", ["u", "k"], "y"),
    ]
    path = write(tmp_path / "n.onnx", nodes, constants, ["batch", 4, 7, 6])
    folded, plain, x = read_graph(path), read_onnx(path), {"x": array(2, 4, 7, 6)}
    assert (len(folded.nodes), len(plain.nodes)) == (1, 3)
    np.testing.assert_allclose(evaluate(folded, x)["y"], evaluate(plain, x)["y"], atol=1e-4)


def test_a_scaling_that_is_no_row_s_own_is_not_folded(tmp_path):
    """Along the batch, or of another rank: the host computes it."""
    for shape in ((5, 1), (1, 1, 6), (5, 6)):
        nodes = [node("MatMul", ["x", "w"], "t"), node("Mul", ["t", "k"], "y")]
        path = write(tmp_path / "n.onnx", nodes, {"w": array(4, 6), "k": array(*shape)}, [5, 4])
        assert len(assert_equal_to_onnx(path, array(5, 4), chain=False).nodes) == 2


def test_nodes_may_come_in_any_order(tmp_path):
    nodes = [node("Gemm", ["x", "w", "b"], "h"), node("Relu", ["h"], "r"), node("MatMul", ["r", "w"], "y")]
    x = array(3, 4)
    want = assert_equal_to_onnx(write(tmp_path / "sorted.onnx", nodes, W, [3, 4]), x)
    turned = write(tmp_path / "n.onnx", nodes[::-1], W, [3, 4])
    (got,) = evaluate(read_graph(turned), {"x": x}).values()
    np.testing.assert_allclose(got, evaluate_layers(want, x), atol=1e-4)


def test_branches_come_after_what_they_read_outside(tmp_path):
    def branch(operator):
        made = helper.make_tensor_value_info(operator, onnx.TensorProto.FLOAT, None)
        return helper.make_graph([node(operator, ["h"], operator)], operator, [], [made])

    choice = node("If", ["positive"], "y", then_branch=branch("Neg"), else_branch=branch("Abs"))
    nodes = [
        choice,
        node("MatMul", ["x", "w"], "h"),
        node("ReduceSum", ["x"], "sum", keepdims=0),
        node("Greater", ["sum", "zero"], "positive"),
    ]
    constants = {"w": W["w"], "zero": np.float32(0)}
    graph = read_graph(write(tmp_path / "n.onnx", nodes, constants, [3, 4]))
    for x in (np.ones((3, 4), np.float32), -np.ones((3, 4), np.float32)):
        (got,) = evaluate(graph, {"x": x}).values()
        np.testing.assert_allclose(got, -(x @ W["w"]) if x[0, 0] > 0 else np.abs(x @ W["w"]), atol=1e-5)


@pytest.mark.parametrize(("producer", "last"), [("pytorch", 6), ("another", 54 / 9.5)])
def test_corners_are_aligned_as_who_wrote_the_file_does(producer, last):
    """A length of 7 times 1.5: PyTorch aligns the last of 10 with the last of 7, onnx's evaluation of 10.5."""
    resize = helper.make_node(
        "Resize", ["x", "", "scales"], ["y"], mode="linear", coordinate_transformation_mode="align_corners"
    )
    scales = numpy_helper.from_array(np.array([1, 1.5], np.float32), "scales")
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    graph = helper.make_graph([resize], "g", values[:1], values[1:], [scales])
    model = helper.make_model(graph, producer_name=producer, opset_imports=[helper.make_opsetid("", 18)])
    x = np.arange(7, dtype=np.float32)[None]
    y = evaluate(read_onnx(model), {"x": x})["y"]
    np.testing.assert_allclose(y, np.linspace(0, last, 10)[None], rtol=1e-6, atol=1e-6)


def test_a_sum_of_vectors_is_not_taken_for_one_of_shapes():
    """onnx's shape inference rejects it while it propagates values, for it takes small integers for shapes."""
    nodes = [
        helper.make_node("Unsqueeze", ["b", "axis"], ["u"]),
        helper.make_node("Add", ["u", "a"], ["s"]),
        helper.make_node("Cast", ["s"], ["f"], to=onnx.TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    constants = {"b": np.arange(2), "a": np.arange(3), "axis": np.array([1])}
    given = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], given)
    network = read_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    x = np.array([[1, 10]], np.float32)
    np.testing.assert_array_equal(evaluate(network, {"x": x})["y"], [[10, 21, 32]])


def test_old_operator_sets_are_refused(tmp_path):
    path = write(tmp_path / "n.onnx", [node("Relu", ["x"], "y")], {}, ["batch", 4])
    model = onnx.load(str(path))
    model.opset_import[0].version = 6
    onnx.save(model, str(path))
    with pytest.raises(NetworkError, match="operator set 6 is too old; 7 is the oldest"):
        read_graph(path)


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
