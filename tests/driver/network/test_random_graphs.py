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
INDEXING = ("GatherND", "GatherElements", "ScatterND", "ScatterElements", "TopK", "Trilu", "Einsum")
RESIZES = [
    {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "linear"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
    {"mode": "cubic", "cubic_coeff_a": -0.5},
    {"mode": "cubic", "exclude_outside": 1},
]


class Nodes:
    """Nodes after one another, and their constants."""

    def __init__(self, rng, batch):
        self.rng, self.batch, self.nodes, self.constants = rng, batch, [], {}

    def add(self, operator, *inputs, **attributes):
        """Return the name of a node's first output; inputs are names, or arrays."""
        names = [name if isinstance(name, str) else self.constant(name) for name in inputs]
        outputs = [f"t{len(self.nodes)}", *([f"i{len(self.nodes)}"] if operator == "TopK" else [])]
        self.nodes.append(helper.make_node(operator, names, outputs, **attributes))
        return outputs[0]

    def constant(self, array):
        self.constants[f"k{len(self.constants)}"] = np.asarray(array)
        return f"k{len(self.constants) - 1}"

    def floats(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)


def indexed(draw, kind, nodes, value, channels, height, width):
    """Take and put the elements of a picture, whatever its batch; return the value and its channels, height, width."""
    if kind == "Einsum":
        outputs = draw(st.integers(1, 3))
        equation = draw(st.sampled_from(["oc,bchw->bohw", "oc, b c ... -> b o ..."]))
        return nodes.add("Einsum", nodes.floats(outputs, channels), value, equation=equation), outputs, height, width
    if kind == "Trilu":
        offset = np.int64(draw(st.integers(-3, 3)))
        return nodes.add("Trilu", value, offset, upper=draw(st.integers(0, 1))), channels, height, width
    if kind == "TopK":
        axis, sizes = draw(st.integers(1, 3)), [channels, height, width]
        sizes[axis - 1] = count = draw(st.integers(1, sizes[axis - 1]))
        attributes = {"axis": axis, "largest": draw(st.integers(0, 1))}
        return nodes.add("TopK", value, np.array([count]), **attributes), *sizes
    if kind == "GatherND":  # channels come first, to be taken one by one
        turned, count = nodes.add("Transpose", value, perm=[1, 0, 2, 3]), draw(st.integers(1, 3))
        taken = nodes.add("GatherND", turned, nodes.rng.integers(-channels, channels, (count, 1)))
        return nodes.add("Transpose", taken, perm=[1, 0, 2, 3]), count, height, width
    if kind == "ScatterND":
        turned, count = nodes.add("Transpose", value, perm=[3, 1, 2, 0]), draw(st.integers(1, width))
        at = nodes.rng.permutation(width)[:count, None]
        some = nodes.add("GatherND", turned, nodes.rng.integers(0, width, (count, 1)))
        reduction = draw(st.sampled_from(["none", "add", "mul"]))
        put = nodes.add("ScatterND", turned, at, some, reduction=reduction)
        return nodes.add("Transpose", put, perm=[3, 1, 2, 0]), channels, height, width
    shape = (nodes.batch, channels, height, draw(st.integers(1, width)))  # indices have a size
    indices = nodes.rng.permuted(np.broadcast_to(np.arange(width), (*shape[:3], width)), axis=3)[..., : shape[3]]
    indices = indices - width * nodes.rng.integers(0, 2, shape)
    if kind == "GatherElements":
        return nodes.add("GatherElements", value, indices, axis=3), channels, height, shape[3]
    put = nodes.add("ScatterElements", value, indices, nodes.floats(*indices.shape), axis=-1)
    return put, channels, height, width


@st.composite
def pictures(draw):
    """Return a random ONNX model that takes elements by index and resizes, and an input."""
    nodes = Nodes(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.integers(1, 3)))
    channels, height, width, value = draw(st.integers(1, 4)), 6, 7, "x"
    x = nodes.floats(nodes.batch, channels, height, width)
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(("Conv", "Resize", "Resize", "Softmax", "CumSum", "Split", *INDEXING)))
        if kind == "Conv":
            outputs = draw(st.integers(1, 3))
            value = nodes.add("Conv", value, nodes.floats(outputs, channels, 3, 3), pads=[1, 1, 1, 1])
            channels = outputs
        elif kind == "Resize":
            given = draw(st.sampled_from([(2, 2), (1, 2), (1.5, 0.75), (0.5, 1)]))
            height, width = int(height * given[0]), int(width * given[1])
            if not 1 <= height * width <= 600:
                break
            # Of one element, onnx's evaluator computes another place than its text and ONNX Runtime do.
            known = [r for r in RESIZES if min(height, width) > 1 or "pytorch" not in str(r)]
            attributes = draw(st.sampled_from(known))
            value = nodes.add("Resize", value, "", np.array([1, 1, *given], np.float32), **attributes)
        elif kind == "Softmax":
            value = nodes.add("Softmax", value, axis=draw(st.integers(1, 3)))
        elif kind == "CumSum":
            flags = {"exclusive": draw(st.integers(0, 1)), "reverse": draw(st.integers(0, 1))}
            value = nodes.add("CumSum", value, np.int64(draw(st.integers(1, 3))), **flags)
        elif kind == "Split":
            if channels > 1:
                value = nodes.add("Slice", value, np.array([1]), np.array([channels]), np.array([1]))
                channels -= 1
        else:
            value, channels, height, width = indexed(draw, kind, nodes, value, channels, height, width)
    return model_of(nodes.nodes, nodes.constants, x, value), x


def model_of(nodes, constants, x, value):
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x.shape[1:]])]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "random", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


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
    return model_of(nodes, constants, x, value), x


@pytest.mark.parametrize("examples", [12, pytest.param(400, marks=pytest.mark.full)])
def test_random_graphs_are_read_as_onnx_evaluates_them(examples):
    @settings(max_examples=examples)
    @given(st.one_of(graphs(), pictures()))
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
    @given(st.one_of(graphs(), pictures()))
    def check(case):
        onnx.checker.check_model(onnx.shape_inference.infer_shapes(case[0]))

    check()
