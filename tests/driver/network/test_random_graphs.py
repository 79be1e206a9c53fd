"""Random graphs, simplified and compressed, compute what onnx's own evaluator and the integer reference say."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import eie
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

UNARY = ("Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Identity", "Abs")


@st.composite
def graphs(draw):
    """Return a random ONNX model on pictures, and an input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, batch, value = draw(st.integers(1, 4)), draw(st.integers(1, 3)), "x"
    x = rng.standard_normal((batch, channels, 8, 7)).astype(np.float32)
    nodes, constants = [], {}

    def constant(*shape):
        name = f"c{len(constants)}"
        constants[name] = rng.standard_normal(shape).astype(np.float32)
        return name

    for i in range(draw(st.integers(1, 6))):
        out = f"t{i}"
        kind = draw(st.sampled_from((*UNARY, "Conv", "Conv", "MaxPool", "Add", "Mul", "Div", "Sub", "Norm", "Concat")))
        if kind == "Conv":
            group = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
            outputs = group * draw(st.integers(1, 2))
            weight = constant(outputs, channels // group, 3, 3)
            attributes = {"pads": [1, 2, 2, 1], "dilations": [1, draw(st.integers(1, 2))], "group": group}
            nodes.append(helper.make_node("Conv", [value, weight], [out], **attributes))
            channels = outputs
        elif kind == "MaxPool":
            nodes.append(helper.make_node("MaxPool", [value], [out], kernel_shape=[2, 2]))
        elif kind in ("Add", "Mul", "Div", "Sub"):
            other = constant(*draw(st.sampled_from([(channels, 1, 1), (1,), (1, channels, 1, 1), (1, 1, 1, 1)])))
            swapped = kind != "Div" and draw(st.booleans())
            nodes.append(helper.make_node(kind, [other, value] if swapped else [value, other], [out]))
        elif kind == "Norm":
            others = [constant(channels) for _ in range(4)]
            constants[others[3]] = np.abs(constants[others[3]])
            nodes.append(helper.make_node("BatchNormalization", [value, *others], [out]))
        elif kind == "Concat":
            nodes.append(helper.make_node("Concat", [value, value], [out], axis=1))
            channels *= 2
        else:
            nodes.append(helper.make_node(kind, [value], [out]))
        value = out
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x.shape[1:]])]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "random", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), x


@pytest.mark.parametrize("examples", [12, pytest.param(400, marks=pytest.mark.full)])
def test_random_graphs_are_read_as_onnx_evaluates_them(examples):
    @settings(max_examples=examples)
    @given(graphs())
    def check(case):
        model, x = case
        (want,) = ReferenceEvaluator(model).run(None, {"x": x})
        (got,) = evaluate(read_graph(model), {"x": x}).values()
        scale = max(1.0, float(np.abs(want[np.isfinite(want)]).max(initial=0)))
        np.testing.assert_allclose(got / scale, want / scale, atol=1e-4)
        if any(node.op_type == "Conv" for node in model.graph.node) and np.isfinite(want).all():
            compressed = eie.compress(model, 1.0, x, method="magnitude")
            with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
                accelerator.run(x, model=compressed, verify=True)

    check()


def test_the_strategy_makes_valid_models():
    @settings(max_examples=5)
    @given(graphs())
    def check(case):
        onnx.checker.check_model(onnx.shape_inference.infer_shapes(case[0]))

    check()
