"""Every operator computes what ONNX's own node tests store; what they test beyond the table is listed here."""

import importlib
import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from eie.errors import NetworkError  # noqa: E402
from eie.network.evaluation import check_inputs, evaluate  # noqa: E402
from eie.network.graph import find_operator  # noqa: E402
from eie.network.onnx_reader import read_onnx  # noqa: E402
from eie.network.operators import OPERATORS  # noqa: E402

MODULES = {
    "activations": "relu leakyrelu clip prelu sigmoid tanh hardsigmoid hardswish gelu erf elu celu selu softplus "
    "softsign mish swish thresholdedrelu exp log sqrt reciprocal abs neg floor ceil round sign sin cos",
    "arithmetic": "add sub mul div pow mod min max sum mean where equal less less_or_equal greater greater_or_equal "
    "and_ or_ xor not_ isnan identity dropout cast castlike",
    "linear": "gemm matmul conv convtranspose",
    "recurrent": "lstm gru rnn",
    "pooling": "maxpool averagepool globalaveragepool globalmaxpool",
    "normalisation": "softmax logsoftmax layernormalization rmsnormalization batch_normalization "
    "instance_normalization lpnormalization lrn cumsum groupnormalization meanvariancenormalization",
    "reduction": "reducemean reducesum reducemax reducemin reduceprod reducel1 reducel2 reducesumsquare argmax argmin "
    "reduce_log_sum reduce_log_sum_exp",
    "movement": "reshape flatten squeeze unsqueeze transpose concat split slice gather gatherelements pad expand tile "
    "shape size constant constantofshape rangeop depthtospace spacetodepth",
    "resizing": "resize upsample",
    "quantisation": "quantizelinear dequantizelinear",
    "control": "if_",
}
"""The modules of onnx.backend.test.case.node, a test each: importing one makes its cases."""

LEAST = {
    "activations": 90,
    "arithmetic": 140,
    "linear": 35,
    "recurrent": 12,
    "pooling": 35,
    "normalisation": 60,
    "reduction": 100,
    "movement": 100,
    "resizing": 12,
    "quantisation": 10,
    "control": 1,
}
"""How many cases pass at the least: a release of onnx may bring more."""

OUT_OF_SCOPE = {
    r"element type \d+ of ONNX is none of numpy's": "types that numpy has not: bfloat16, float8, 4 bits, text",
    "training mode": "BatchNormalization and Dropout in training",
    "is no tensor but a": "sequences and optional values",
    "Resize with mode|tf_crop_and_resize": "Resize but for nearest; policies of the aspect ratio",
    "gives 1 outputs here; the graph wants 2": "MaxPool's indices",
    "operator set 1 is too old": "files of before operator set 7",
    "holds object; it must hold real numbers": "inputs that the test itself stores as protobuf",
    "operator (Loop|Scan|CenterCropPad) is not known": "loops, into which onnx expands some operators",
}
"""What the table refuses, by the words of the error, and why."""


def cases(module):
    """Return the node tests of a module of onnx, made by importing it."""
    node = importlib.import_module("onnx.backend.test.case.node")
    already = len(node._NodeTestCases)
    importlib.import_module(f"onnx.backend.test.case.node.{module}")
    return [case for case in node._NodeTestCases[already:] if case.model is not None]


def expected_shapes(graph, inputs):
    """Return what the shape rules say of every tensor that a graph makes, as the evaluation reaches it."""
    shapes = {}

    def hook(node, values):
        attributes = node.attributes
        if attributes.get("num_outputs") == 0:
            attributes = {**attributes, "num_outputs": len(node.outputs)}
        if "then_branch" not in attributes:
            found = find_operator(node.operator).shape(*values, **attributes)
            shapes.update(zip(node.outputs, found if isinstance(found, list) else [found], strict=False))
        return None

    return evaluate(graph, inputs, hook), shapes


@pytest.mark.parametrize("family", MODULES)
def test_operators_compute_what_onnx_stores(family):
    passed, refused = 0, []
    for case in (case for module in MODULES[family].split() for case in cases(module)):
        inputs, wanted = case.data_sets[0]
        try:
            graph = read_onnx(case.model)
            given = check_inputs(graph, dict(zip((value.name for value in graph.inputs), inputs, strict=False)))
            outputs, shapes = expected_shapes(graph, given)
        except NetworkError as error:
            assert any(re.search(words, str(error)) for words in OUT_OF_SCOPE), f"{case.name}: {error}"
            refused.append(case.name)
            continue
        for (name, got), want in zip(outputs.items(), wanted, strict=True):
            if isinstance(want, onnx.TensorProto):
                want = onnx.numpy_helper.to_array(want)
            assert got.dtype == want.dtype and got.shape == want.shape, case.name
            assert shapes.get(name, got.shape) == got.shape, f"{case.name}: shape rule"
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6, err_msg=case.name)
        passed += 1
    assert passed >= LEAST[family], (passed, refused)


def test_every_operator_of_onnx_in_the_table_is_among_them():
    from onnx import defs

    tested = " ".join(MODULES.values()).replace("_", "").split()
    names = {"rangeop": "range"}
    tested = {names.get(module, module) for module in tested}
    standard = {name.lower() for name in OPERATORS if defs.has(name)}
    assert standard <= tested
