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
from eie.network.sources import read_any
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
        (
            [node("RandomUniformLike", ["x"], "y")],
            W,
            "operator RandomUniformLike is not known.*nothing before it to keep$",
        ),
        (
            [node("MatMul", ["x", "w"], "t"), node("RandomUniformLike", ["t"], "y")],
            W,
            "RandomUniformLike is not known.*--outputs t$",
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


@pytest.mark.parametrize(
    ("version", "operator", "attributes"),
    [
        (9, "Shrink", {"lambd": 0.3, "bias": 0.1}),
        (11, "ReduceLogSum", {"axes": [1], "keepdims": 0}),
        (13, "ReduceLogSumExp", {"axes": [1]}),
        (11, "Hardmax", {"axis": 1}),
        (9, "IsInf", None),
        (9, "Atan", {}),
    ],
)
def test_operators_whose_older_versions_onnx_does_not_expand(tmp_path, version, operator, attributes):
    if attributes is None:
        version, attributes = 10, {"detect_negative": 0}
    nodes = [node("MatMul", ["x", "w"], "a"), node("Abs", ["a"], "b"), node(operator, ["b"], "y", **attributes)]
    path = write(tmp_path / "n.onnx", nodes, {"w": W["w"]}, [5, 4], version=version)
    model = onnx.load(path)
    if operator == "IsInf":
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.BOOL
        onnx.save(model, path)
    assert_equal_to_onnx(path, array(5, 4), chain=False)


def test_a_function_of_onnx_may_have_constants_for_inputs(tmp_path):
    """Its body follows from the types of its inputs, which a file need not say of constants."""
    constants = {"k": array(6, 4, 3), "s": array(6), "b": array(6)}
    nodes = [
        node("Conv", ["x", "k"], "c"),
        node("GroupNormalization", ["c", "s", "b"], "y", num_groups=3),
    ]
    path = write(tmp_path / "n.onnx", nodes, constants, [2, 4, 9], version=21)
    x = array(2, 4, 9)
    assert_equal_to_onnx(path, x, chain=False)
    given = eie.compress(path, 1.0, x, terms=2)
    with eie.Accelerator("emulated") as acc:
        assert np.abs(acc.run(x, model=given, verify=True) - eie.reference(given, x)).max() == 0


@pytest.mark.parametrize("where", ["linear", "coordinates", "node"])
def test_sparse_constants_are_weights(tmp_path, where):
    weight = np.where(array(6, 4) > 0.5, array(6, 4), 0)
    values = numpy_helper.from_array(weight[weight != 0], "w")
    places = np.flatnonzero(weight) if where == "linear" else np.argwhere(weight)
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(places.astype(np.int64), "at"), weight.shape)
    nodes = [node("Gemm", ["x", "w", "b"], "y")]
    if where == "node":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], sparse_value=sparse))
    model = onnx.load(write(tmp_path / "n.onnx", nodes, {"b": W["b"]}, [3, 6]))
    if where != "node":
        model.graph.sparse_initializer.append(sparse)
    (layer,) = read_any(model)
    assert np.array_equal(layer.weight, weight.T) and np.array_equal(layer.bias, W["b"])


def test_a_sparse_constant_of_gigantic_sizes_takes_no_memory(tmp_path):
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.zeros(1, np.int64), "at"), (1 << 20, 1 << 20))
    model = onnx.load(write(tmp_path / "n.onnx", [node("MatMul", ["x", "w"], "y")], {}, [1, 1 << 20]))
    model.graph.sparse_initializer.append(sparse)
    with pytest.raises(NetworkError, match=r"\(1048576, 1048576\) has 1099511627776 elements; the limit"):
        read_graph(model)


def test_constants_of_bfloat16_are_their_floats(tmp_path):
    types = pytest.importorskip("ml_dtypes")
    weight = array(4, 4).astype(types.bfloat16)
    nodes = [node("Cast", ["v"], "w", to=TensorProto.FLOAT), node("MatMul", ["x", "w"], "y")]
    (layer,) = read_network(write(tmp_path / "n.onnx", nodes, {"v": weight}, [3, 4]))
    assert np.array_equal(layer.weight, weight.astype(np.float32).T)


def test_a_graph_needs_no_name(tmp_path):
    model = onnx.load(write(tmp_path / "n.onnx", [node("MatMul", ["x", "w"], "y")], W, [3, 4]))
    model.graph.name = ""
    (layer,) = read_any(model)
    assert np.array_equal(layer.weight, W["w"].T)


def test_outputs_may_be_masked_by_infinities(tmp_path):
    constants = {"w": array(6, 4), "v": array(4, 4), "c": np.array([True, True, False, True])}
    nodes = [node("MatMul", ["x", "w"], "a"), node("Tanh", ["a"], "t"), node("MatMul", ["t", "v"], "b")]
    x, found = array(40, 6), {}
    for mask in (-np.inf, 0):
        constants["m"] = np.float32(mask)
        path = write(
            tmp_path / "n.onnx", [*nodes, node("Where", ["c", "b", "m"], "y")], constants, ["batch", 6], version=17
        )
        model = eie.compress(path, 0.5, x, allocation="loss")
        eie.save(model, tmp_path / "n.eie")
        found[mask] = eie.load(tmp_path / "n.eie")
        y = eie.reference(found[mask], x)
        assert np.all(y[:, 2] == mask) and np.isfinite(y[:, [0, 1, 3]]).all()
    masked, plain = (found[mask].metadata["compression"] for mask in (-np.inf, 0))
    assert masked["layers"] == plain["layers"], "what the mask hides has no part in it"
    assert masked["end_sqnr_db"] == pytest.approx(plain["end_sqnr_db"], abs=1e-9), "but for the order of its sums"
