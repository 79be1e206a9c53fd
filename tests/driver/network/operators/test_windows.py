"""Sliding windows: convolutions made part by part and pooling, as ONNX Runtime computes them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from eie.compression.graph_products import SAMPLED_VECTORS, Recorder
from eie.network.evaluation import evaluate, run_node
from eie.network.graph import Graph, Node, Value
from eie.network.operators import convolution
from eie.network.operators.linear import Matrix

onnxruntime = pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)


@st.composite
def windows(draw):
    """Return attributes of a window, and spatial sizes that it fits."""
    rank = draw(st.integers(1, 2))

    def each(low, high, count=rank):
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    kernel, dilations = each(1, 4), each(1, 2)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [min(pad, k - 1) for pad, k in zip(each(0, 2, 2 * rank), 2 * kernel, strict=True)]
    sizes = [size + extra for size, extra in zip(reach, each(0, 9), strict=True)]
    return {"kernel_shape": kernel, "strides": each(1, 3), "dilations": dilations, "pads": pads}, sizes


def by_onnx_runtime(operator, attributes, **inputs):
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name, x in inputs.items()]
    node = helper.make_node(operator, list(inputs), ["y"], **attributes)
    graph = helper.make_graph([node], "one", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)[0]


@given(windows(), st.sampled_from(["MaxPool", "AveragePool"]), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_pooling_is_onnx_runtimes(window, operator, ceil_mode, count_include_pad):
    attributes, sizes = window
    attributes = {**attributes, "ceil_mode": int(ceil_mode)}
    if operator == "AveragePool":
        attributes["count_include_pad"] = int(count_include_pad)
    x = RNG.standard_normal((2, 3, *sizes)).astype(np.float32)
    (got,) = run_node(Node(operator, ("x",), ("y",), _complete(operator, attributes)), [x])
    np.testing.assert_allclose(got, by_onnx_runtime(operator, attributes, x=x), rtol=1e-4, atol=1e-5)


def _complete(operator, attributes):
    return Graph([Node(operator, ("x",), ("y",), attributes)], [Value("x")], [Value("y")], {}).nodes[0].attributes


@given(windows(), st.integers(1, 4), st.sampled_from([1, 40, 300, 5000]), st.sampled_from([1, 2]))
@settings(max_examples=60)
def test_convolutions_are_the_same_in_parts(window, batch, block, group):
    attributes, sizes = window
    attributes = {**attributes, "group": group}
    x = RNG.standard_normal((batch, 4, *sizes)).astype(np.float32)
    w = RNG.standard_normal((6, 4 // group, *attributes["kernel_shape"])).astype(np.float32)
    graph = Graph(
        [Node("Conv", ("x", "w"), ("y",), attributes)], [Value("x", "float32", x.shape)], [Value("y")], {"w": w}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolution, "_BLOCK", block)
        got = evaluate(graph, {"x": x})["y"]
    np.testing.assert_allclose(got, by_onnx_runtime("Conv", attributes, x=x, w=w), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("calls", [[5], [20_000], [9_000, 1, 9_000, 30_000], [3000] * 9, [1] * 9000])
def test_a_sample_is_spread_over_all_vectors_however_they_come(calls):
    recorder = Recorder(Matrix(np.ones((1, 1), np.float32)), relu=False)
    for part in np.split(np.arange(sum(calls), dtype=np.float32), np.cumsum(calls)[:-1]):
        recorder(part[:, None])
    inputs, outputs = recorder.samples()
    assert np.array_equal(inputs, outputs)
    apart = set(np.diff(inputs[:, 0]))
    assert len(apart) == 1 and inputs[0] == 0 and inputs[-1] >= sum(calls) - apart.pop()
    assert min(sum(calls), SAMPLED_VECTORS // 2) <= len(inputs) <= SAMPLED_VECTORS
