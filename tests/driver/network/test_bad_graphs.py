"""Graphs that are no networks: one error that names what is wrong, in bounded time and memory."""

import itertools
import resource

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import eie
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph, Node, Value
from eie.network.graph_readers import read_graph

X = np.ones((2, 4), np.float32)
W = np.eye(4, dtype=np.float32)


def model(nodes, constants=None, shape=("batch", 4)):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    constants = {"w": W, **{name: np.asarray(array) for name, array in (constants or {}).items()}}
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([helper.make_node(*node[:3], **dict(node[3:])) for node in nodes], "g", inputs, outputs)
    graph.initializer.extend(initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


MATMUL = ("MatMul", ["x", "w"], ["t"])
BAD = {
    "a cycle": (
        model([("Add", ["x", "b"], ["a"]), ("Relu", ["a"], ["b"]), ("Relu", ["b"], ["y"])]),
        "Add node 'a' waits for its own output: the graph has a cycle",
    ),
    "a node that reads itself": (model([("Add", ["x", "y"], ["y"])]), "Add node 'y' waits for its own output"),
    "a missing tensor": (model([("Add", ["x", "nowhere"], ["y"])]), "its input 'nowhere' is made by no node"),
    "a tensor made twice": (model([MATMUL, ("Relu", ["x"], ["t"]), ("Abs", ["t"], ["y"])]), "'t' is made twice"),
    "shapes that do not multiply": (
        model([("MatMul", ["x", "v"], ["y"])], {"v": np.ones((5, 4), np.float32)}),
        "Incompatible dimensions for matrix multiplication",
    ),
    "shapes that only turn out not to fit": (
        model([MATMUL, ("Reshape", ["t", "x2"], ["u"]), ("Add", ["u", "w"], ["y"])], {"x2": [-1, 1, 8]}),
        "Incompatible dimensions",
    ),
    "an unknown operator at the end": (
        model([MATMUL, ("RandomUniformLike", ["t"], ["y"])]),
        "operator RandomUniformLike is not known .*; name other outputs to end the network before it: .* --outputs t$",
    ),
    "an unknown operator at the beginning": (
        model([("RandomUniformLike", ["x"], ["y"])]),
        "operator RandomUniformLike is not known .*; it reads the network's own inputs.* nothing before it to keep$",
    ),
    "an input too large": (
        model([("MatMul", ["x", "w"], ["y"])], shape=(1 << 40, 4)),
        "1099511627776, 4.* the limit is",
    ),
    "an output too large": (
        model([MATMUL, ("Expand", ["t", "s"], ["y"])], {"s": [10**9, 10**9, 1, 4]}),
        "4000000000000000000 elements; the limit is",
    ),
    "padding without end": (
        model([MATMUL, ("Pad", ["t", "p"], ["y"])], {"p": [0, 0, 0, 1 << 45]}),
        "35184372088836.* the limit is",
    ),
    "doubling": (
        model([MATMUL, *(("Concat", [f"t{i or ''}"] * 2, [f"t{i + 1}"], ("axis", 1)) for i in range(59)),
               ("Abs", ["t59"], ["y"])]),
        "the limit is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_it_is_refused_by_name(case):
    network, words = BAD[case]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(NetworkError, match=words):
        eie.compress(network, 1.0, X)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20, "less than a gigabyte"


@pytest.mark.parametrize("count", [3000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_graph_of_very_many_nodes_is_read_and_computed(count):
    names = ["x", *(f"t{i}" for i in range(1, count)), "y"]
    network = model([("Neg", [a], [b]) for a, b in itertools.pairwise(names)])
    graph = read_graph(network)
    assert len(graph.nodes) == count
    (y,) = evaluate(graph, {"x": X}).values()
    assert np.array_equal(y, X if count % 2 == 0 else -X)


def test_files_of_the_project_are_held_to_the_same():
    def graph(*nodes):
        return Graph(nodes, [Value("x", "float32", ("batch", 4))], [Value("y")], {"w": W})

    with pytest.raises(NetworkError, match="cycle"):
        graph(Node("Add", ("x", "b"), ("a",)), Node("Relu", ("a",), ("b",)), Node("Relu", ("b",), ("y",)))
    with pytest.raises(NetworkError, match="made by no node"):
        graph(Node("Add", ("x", "nowhere"), ("y",)))
    with pytest.raises(NetworkError, match="operator Warp is not known"):
        graph(Node("Warp", ("x",), ("y",)))


@pytest.mark.parametrize("place", ["name", "tensor", "graph"])
def test_a_string_that_is_not_utf_8_is_named(place, tmp_path):
    made = model([("MatMul", ["x", "weight"], ["y"], ("name", "product"))], {"weight": W})
    of_place = {"name": b"product", "tensor": b"weight", "graph": b"\x01g"}[place]
    path = tmp_path / "x.onnx"
    path.write_bytes(made.SerializeToString().replace(of_place, b"\xfe".rjust(len(of_place), of_place[:1])))
    with pytest.raises(NetworkError, match=r"x\.onnx: .* is not UTF-8; the file is damaged, export it anew"):
        eie.compress(path, 1.0, X)
