"""ONNX files are read as onnx's own evaluator computes them: chains as layers, all else as graphs."""

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
from eie.network.onnx_reader import read_onnx
from eie.network.readers import read_network
from eie.network.sources import read_any

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


def evaluate_layers(layers, x):
    """Compute float layers on rows of inputs."""
    for layer in layers:
        x = x @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return x


def assert_equal_to_onnx(path, x, chain=True, **others):
    """Compare a graph, and where it is a chain also its layers, with onnx's evaluator; return the layers."""
    (want,) = ReferenceEvaluator(str(path)).run(None, {"x": x, **others})
    graph = read_graph(path)
    (got,) = evaluate(graph, {"x": x, **others}).values()
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, atol=1e-4)
    layers = read_any(path)
    assert isinstance(layers, list) == chain
    if not chain:
        return layers
    np.testing.assert_allclose(evaluate_layers(layers, x.reshape(len(x), -1)), want, atol=1e-4)
    return layers


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


W = {"w": array(4, 4), "b": array(4)}


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
        ([node("Det", ["x"], "y")], W, "operator Det is not known.*--outputs"),
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


def test_old_operator_sets_are_refused(tmp_path):
    path = write(tmp_path / "n.onnx", [node("Relu", ["x"], "y")], {}, ["batch", 4])
    model = onnx.load(str(path))
    model.opset_import[0].version = 6
    onnx.save(model, str(path))
    with pytest.raises(NetworkError, match="operator set 6 is too old; 7 is the oldest"):
        read_graph(path)


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_many_nodes_take_time_in_proportion(tmp_path, count):
    nodes = [helper.make_node("Neg", [f"t{i}" if i else "x"], [f"t{i + 1}"]) for i in range(count)]
    path = write(tmp_path / "n.onnx", nodes, {}, ["batch", 4], output=f"t{count}")
    x = array(2, 4)
    (got,) = evaluate(read_graph(path), {"x": x}).values()
    assert np.array_equal(got, x)


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
    assert len(compressed.layers) == 4
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
