"""ONNX files that are no chain of layers: graphs, their ends, and what is refused."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph
from eie.network.graph_readers import read_graph
from eie.network.readers import read_network
from tests.driver.network.onnx_bench import W, array, assert_equal_to_onnx, node, write


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Gemm", ["x", "w"], "t"), node("Softmax", ["t"], "y")],
        [node("Relu", ["x"], "t"), node("MatMul", ["t", "w"], "y")],
        [node("Add", ["x", "b"], "t"), node("MatMul", ["t", "w"], "y")],
        [node("MatMul", ["x", "w"], "t"), node("Relu", ["t"], "u"), node("Add", ["u", "b"], "y")],
        [node("MatMul", ["x", "w"], "t"), node("Add", ["t", "x"], "y")],
        [node("MatMul", ["x", "x"], "y")],
        [node("MatMul", ["x", "w"], "t"), node("MatMul", ["w", "t"], "y")],
        [node("MatMul", ["x", "w"], "t"), node("MatMul", ["t", "x"], "y")],
        [node("Flatten", ["x"], "t", axis=0), node("Transpose", ["t"], "y")],
        [node("MatMul", ["x", "w"], "t"), node("Reshape", ["t", "s"], "y")],
    ],
)
def test_what_is_no_chain_is_a_graph(tmp_path, nodes):
    path = write(tmp_path / "n.onnx", nodes, {**W, "s": np.array([-1, 2])}, [4, 4])
    graph = assert_equal_to_onnx(path, array(4, 4), chain=False)
    assert isinstance(graph, Graph)
    with pytest.raises(NetworkError, match="more than a chain"):
        read_network(path)


def test_sizes_of_minus_one_or_a_question_mark_are_open(tmp_path):
    nodes = [node("GlobalAveragePool", ["x"], "p"), node("Flatten", ["p"], "f"), node("MatMul", ["f", "w"], "y")]
    path = write(tmp_path / "n.onnx", nodes, W, [-1, 4, "?", "?"])
    for size in (3, 5):
        assert_equal_to_onnx(path, array(2, 4, size, size + 1), chain=False)
    model = eie.compress(path, 1.0, array(2, 4, 3, 7), terms=2)
    assert eie.reference(model, array(1, 4, 5, 5)).shape == (1, 4)


def test_names_that_are_too_long_or_not_one_s_own_become_fitting_ones(tmp_path):
    nodes = [node("MatMul", [a, "w"], b) for a, b in (("x", "p"), ("q", "r"), ("s", "y"))]
    nodes[1:1] = [node("Sigmoid", ["p"], "q")]
    nodes[3:3] = [node("Sigmoid", ["r"], "s")]
    for place, name in ((0, "n" * 400), (2, "alike"), (4, "alike")):
        nodes[place].name = name
    path = write(tmp_path / "n.onnx", nodes, W, ["batch", 4])
    model = eie.compress(path, [1.0, 0.75, 0.5], array(8, 4))
    first, *others = model.layers
    assert len(first.name) == 255 and [layer.name for layer in others] == ["alike", "y"]
    assert [layer.nonzeros for layer in model.layers] == [16, 12, 8]


def test_several_inputs(tmp_path):
    nodes = [node("MatMul", ["x", "w"], "t"), node("Add", ["t", "z"], "y")]
    path = write(tmp_path / "n.onnx", nodes, W, ["batch", 4], inputs=("x", "z"))
    assert_equal_to_onnx(path, array(3, 4), chain=False, z=array(3, 4))


def test_a_graph_ends_at_the_outputs_asked_for(tmp_path):
    nodes = [node("MatMul", ["x", "w"], "t"), helper.make_node("Unheard", ["t"], ["y"], name="u", domain="com.me")]
    path = tmp_path / "n.onnx"
    write(path, nodes, W, ["batch", 4])
    model = onnx.load(str(path))
    model.opset_import.append(helper.make_opsetid("com.me", 1))
    onnx.save(model, str(path))
    with pytest.raises(NetworkError, match=r"Unheard node 'u': its domain 'com\.me' is not known"):
        read_graph(path)
    x = array(3, 4)
    (got,) = evaluate(read_graph(path, outputs=["t"]), {"x": x}).values()
    np.testing.assert_allclose(got, x @ W["w"], rtol=1e-5)
    with pytest.raises(NetworkError, match="no tensor 'nowhere'"):
        read_graph(path, outputs=["nowhere"])


def test_an_input_can_be_fixed(tmp_path):
    nodes = [node("Add", ["x", "z"], "y")]
    path = write(tmp_path / "n.onnx", nodes, {}, [4], inputs=("x", "z"))
    graph = read_graph(path, inputs={"z": [1, 2, 3, 4]})
    assert [value.name for value in graph.inputs] == ["x"]
    (got,) = evaluate(graph, {"x": np.ones(4)}).values()
    assert got.tolist() == [2, 3, 4, 5]
    with pytest.raises(NetworkError, match="no input 'q'"):
        read_graph(path, inputs={"q": 1})


@pytest.mark.parametrize(
    ("nodes", "constants", "message"),
    [
        ([node("Conv", ["x", "w"], "y")], W, "Conv"),
        ([node("MatMul", ["x", "w"], "y")], {"w": np.ones((4, 4), np.int64)}, "matmul_y"),
        ([node("MatMul", ["x", "w"], "t"), node("Add", ["t", "b"], "y")], {"w": array(4, 4), "b": array(3)}, "Add"),
        ([node("Gemm", ["x"], "y")], W, "gemm_y"),
        ([node("MatMul", ["x", "missing"], "y")], W, "matmul_y.: its input 'missing' is made by no node"),
        ([node("Add", ["x", "u"], "t"), node("Add", ["t", "x"], "u")], W, "the graph has a cycle"),
        ([node("Relu", ["x"], "t"), node("Abs", ["x"], "t"), node("Neg", ["t"], "y")], W, "'t' is made twice"),
        ([node("MatMul", ["x", "w"], "z")], W, "'y'"),
        ([node("Relu", ["x"], "y", alpha=1.0)], W, "alpha"),
        ([node("NonMaxSuppression", ["x", "x"], "y")], W, "NonMaxSuppression"),
        ([node("Det", ["x"], "y")], W, "operator Det is not known.*--outputs x$"),
        (
            [node("MatMul", ["x", "w"], "t"), node("Hardmax", ["t"], "y")],
            W,
            "Hardmax is not known.*--outputs t .the class, its largest element, is the same there",
        ),
        (
            [node("ConstantOfShape", ["s"], "y")],
            {"s": np.array([1 << 20, 1 << 20])},
            "1099511627776 elements; the limit",
        ),
        ([node("Expand", ["x", "s"], "y")], {"s": np.array([1 << 40, 4, 4])}, "elements; the limit"),
    ],
)
def test_bad_graphs_are_refused_in_one_line(tmp_path, nodes, constants, message):
    with pytest.raises(NetworkError, match=message):
        graph = read_graph(write(tmp_path / "n.onnx", nodes, constants, ["batch", 4]))
        evaluate(graph, {"x": array(4, 4)})


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_many_nodes_take_time_in_proportion(tmp_path, count):
    nodes = [helper.make_node("Neg", [f"t{i}" if i else "x"], [f"t{i + 1}"]) for i in range(count)]
    path = write(tmp_path / "n.onnx", nodes, {}, ["batch", 4], output=f"t{count}")
    x = array(2, 4)
    (got,) = evaluate(read_graph(path), {"x": x}).values()
    assert np.array_equal(got, x)


def test_recurrent_layers_of_which_only_the_last_state_is_wanted_are_told_apart():
    rng = np.random.default_rng(0)

    def small(*shape):
        return (rng.standard_normal(shape) * 0.3).astype(np.float32)

    constants = {"w": small(1, 20, 4), "r": small(1, 20, 5), "v": small(1, 20, 4), "s": small(1, 20, 5)}
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=5),
        helper.make_node("LSTM", ["x", "v", "s"], ["", "", "c"], hidden_size=5),
        helper.make_node("Add", ["h", "c"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["time", "batch", 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "two", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = rng.standard_normal((6, 2, 4)).astype(np.float32)
    (want,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(evaluate(read_graph(model), {"x": x})["y"], want, atol=1e-5)
    compressed = eie.compress(model, 1.0, x)
    assert len(compressed.layers) == 8, "a layer a gate"
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        np.testing.assert_allclose(accelerator.run(x, verify=True, model=compressed), want, atol=0.1)


def test_a_branch_may_read_what_it_makes_and_what_is_outside():
    def branch(*nodes):
        return helper.make_graph(nodes, "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])

    add, relu, absolute = (
        helper.make_node(*n) for n in (("Add", ["v", "x"], ["a"]), ("Neg", ["a"], ["z"]), ("Abs", ["v"], ["z"]))
    )
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["v"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch(add, relu), else_branch=branch(absolute)),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]),
        helper.make_tensor_value_info("c", TensorProto.BOOL, []),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.array([1, -2, 3], np.float32)
    for condition, want in ((True, -(x * x + x)), (False, x * x)):
        assert np.array_equal(evaluate(read_graph(model), {"x": x, "c": np.array(condition)})["y"], want)
