"""ONNX files that contradict themselves are refused by onnx's own checker and shape inference, never believed."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from eie.errors import NetworkError
from eie.network.readers import read_network
from tests.driver.network.test_onnx_reader import array, node, write

W = {"w": array(24, 6)}
GEMM = node("Gemm", ["x", "w"], "y")


def changed(path, change):
    """Change the protobuf of a file."""
    model = onnx.load(str(path))
    change(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


def attribute(name, value):
    return lambda graph: graph.node[0].attribute.append(helper.make_attribute(name, value))


CHANGES = {
    "transB of two numbers": attribute("transB", [1, 2]),
    "alpha of text": attribute("alpha", "1"),
    "alpha of a list": attribute("alpha", [1.0]),
    "an input without a name": lambda graph: graph.node[0].input.__setitem__(0, ""),
    "a weight without a name": lambda graph: graph.node[0].input.__setitem__(1, ""),
    "no input": lambda graph: graph.node[0].ClearField("input"),
    "no output": lambda graph: graph.node[0].ClearField("output"),
    "negative dimensions": lambda graph: graph.initializer[0].dims.__setitem__(slice(None), [-4, -36]),
    "dimensions that do not fit": lambda graph: graph.initializer[0].dims.__setitem__(slice(None), [6, 23]),
    "an initializer twice": lambda graph: graph.initializer.append(numpy_helper.from_array(array(24, 6), "w")),
    "a type of no tensor": lambda graph: setattr(graph.initializer[0], "data_type", 77),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_graph_is_refused(tmp_path, change):
    path = changed(write(tmp_path / "n.onnx", [GEMM], W, ["batch", 24]), CHANGES[change])
    with pytest.raises(NetworkError, match=r"n\.onnx"):
        read_network(path)


def test_a_declared_input_of_another_size_is_refused(tmp_path):
    assert len(read_network(write(tmp_path / "n.onnx", [GEMM], W, ["batch", 24]))) == 1
    with pytest.raises(NetworkError, match=r"n\.onnx"):
        read_network(write(tmp_path / "n.onnx", [GEMM], W, ["batch", 30]))


def test_a_declared_output_of_another_size_is_refused(tmp_path):
    def change(graph):
        graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5]))

    with pytest.raises(NetworkError, match=r"n\.onnx"):
        read_network(changed(write(tmp_path / "n.onnx", [GEMM], W, ["batch", 24]), change))


@pytest.mark.parametrize("operator", ["Identity", "Relu"])
def test_a_node_that_overwrites_an_initializer_is_refused(tmp_path, operator):
    nodes = [node("Gemm", ["x", "w"], "v"), node(operator, ["v"], "u"), node("Gemm", ["u", "u2"], "y")]
    constants = {**W, "u": array(6, 6), "u2": array(6, 6)}
    with pytest.raises(NetworkError, match=r"n\.onnx"):
        read_network(write(tmp_path / "n.onnx", nodes, constants, ["batch", 24]))


@pytest.mark.parametrize(
    "target",
    [[2, 2], [-4, 3], [3, 23], [-1, 23], [-1, 0], [0, -2], ["2", "24"], [[-1, 24]], [-1.0, 24.0], [24]],
    ids=str,
)
def test_a_reshape_to_anything_but_batch_and_features_is_refused(tmp_path, target):
    nodes = [node("Reshape", ["x", "s"], "f"), node("Gemm", ["f", "w"], "y")]
    s = np.array(target, object if isinstance(target[0], str) else None)
    with pytest.raises(NetworkError, match=r"n\.onnx"):
        read_network(write(tmp_path / "n.onnx", nodes, {**W, "s": s}, ["batch", 2, 3, 4]))


def test_a_reshape_that_keeps_a_fixed_batch_is_read(tmp_path):
    nodes = [node("Reshape", ["x", "s"], "f"), node("Gemm", ["f", "w"], "y")]
    path = write(tmp_path / "n.onnx", nodes, {**W, "s": np.array([1, 24])}, [1, 2, 3, 4])
    assert read_network(path)[0].weight.shape == (6, 24)
