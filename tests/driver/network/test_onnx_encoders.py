"""Encoders and norms as scikit-learn's exporter writes them before a network."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph


def read(node, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", kind, [None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    return read_graph(helper.make_model(graph, opset_imports=imports, ir_version=8))


def encoder(operator, **attributes):
    return helper.make_node(operator, ["x"], ["y"], domain="ai.onnx.ml", **attributes)


@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_categories_are_hot(kind):
    x = np.array([[1, 5], [7, 2]], kind)
    graph = read(encoder("OneHotEncoder", cats_int64s=[1, 2, 7]), kind=helper.np_dtype_to_tensor_dtype(x.dtype))
    want = [[[1, 0, 0], [0, 0, 0]], [[0, 0, 1], [0, 1, 0]]]
    np.testing.assert_array_equal(evaluate(graph, {"x": x})["y"], np.array(want, np.float32))


def test_texts_as_categories_are_refused():
    with pytest.raises(NetworkError, match="OneHotEncoder node 'y': its categories are texts"):
        read(encoder("OneHotEncoder", cats_strings=["a", "b"]))


def test_what_is_above_a_threshold_is_one():
    x = np.array([[-1, 0.5, 2]], np.float32)
    y = evaluate(read(encoder("Binarizer", threshold=0.5)), {"x": x})["y"]
    np.testing.assert_array_equal(y, np.array([[0, 0, 1]], np.float32))


def test_rows_are_divided_by_their_largest():
    x = np.array([[-3, 1, 2], [0, 0, 0], [-1, -2, -4], [-1, 0, -2]], np.float32)
    y = evaluate(read(encoder("Normalizer", norm="MAX")), {"x": x})["y"]
    np.testing.assert_array_equal(y, [[-1.5, 0.5, 1], [0, 0, 0], [1, 2, 4], [-1, 0, -2]])


@pytest.mark.parametrize(
    ("version", "keys"),
    [
        (1, {"classes_strings": ["a", "b", "c"]}),
        (3, {"keys_strings": ["a", "b", "c"], "values_int64s": [0, 1, 2]}),
        (4, {"keys_strings": ["a", "b", "c"], "values_tensor": numpy_helper.from_array(np.arange(3))}),
    ],
)
def test_a_network_of_texts_begins_with_their_numbers(version, keys):
    nodes = [
        helper.make_node("LabelEncoder", ["text"], ["number"], domain="ai.onnx.ml", **keys),
        helper.make_node("Gather", ["table", "number"], ["y"]),
    ]
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "table")],
    )
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", version)]
    read = read_graph(helper.make_model(graph, opset_imports=imports, ir_version=8))
    assert [str(value) for value in read.inputs] == ["number int64 batch"]
    np.testing.assert_array_equal(evaluate(read, {"number": [2, 0]})["y"], table[[2, 0]])


def test_a_network_that_gives_texts_ends_before_them():
    texts = helper.make_tensor("texts", TensorProto.STRING, [2], [b"no", b"yes"])
    nodes = [helper.make_node("ArgMax", ["x"], ["best"], axis=1), helper.make_node("Gather", ["texts", "best"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, None)],
        [texts],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    with pytest.raises(NetworkError, match=r"output 'y': text is none .*outputs=\['best'\]"):
        read_graph(model)
    np.testing.assert_array_equal(evaluate(read_graph(model, ["best"]), {"x": np.eye(2)})["best"], [[0], [1]])
