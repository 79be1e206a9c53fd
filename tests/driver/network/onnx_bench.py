"""ONNX files made by hand, compared with onnx's own evaluator."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph
from eie.network.sources import read_any

RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


W = {"w": array(4, 4), "b": array(4)}


def write(path, nodes, constants, shape, output="y", inputs=("x",), version=17):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
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
