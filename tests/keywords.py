"""FINN's keyword network, from the data that are not committed, with integers that are proved equal."""

from pathlib import Path

import numpy as np
import pytest

import eie
from eie.network.thresholds import affine_thresholds, integer_stage, reachable_sums

KEYWORDS = Path(__file__).parents[2] / "shared/data/kws_w3a3"


def keyword_network() -> tuple[eie.Model, list]:
    """FINN's keyword network (3-bit weights and activations, BatchNorm) as a model whose integers are exact."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(KEYWORDS / "model.qonnx.onnx").graph
    value = {i.name: onnx.numpy_helper.to_array(i).astype(np.float64) for i in graph.initializer}
    by_output = {node.output[0]: node for node in graph.node}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    scale_in, low, high = float(value[graph.node[0].input[1]]), -128, 127
    layers, proofs = [], []
    for product in products:
        weights = by_output[by_output[product.input[1]].input[0]]
        weight, weight_scale = value[weights.input[0]], value[weights.input[1]]
        integers = np.clip(np.rint(weight / weight_scale), -3, 3).astype(np.int64)
        codes = np.where(integers >= 0, integers, 3 - integers)
        codebook = np.r_[0, 1, 2, 3, -1, -2, -3, np.zeros(9, np.int64)]
        follower = next((n for n in graph.node if product.output[0] in n.input), None)
        if follower is None:
            layers.append(eie.Layer.from_dense_codes(codes, codebook))
            break
        gamma, beta, mean, variance = (value[name] for name in follower.input[1:])
        relu = next(n for n in graph.node if follower.output[0] in n.input)
        quantiser = next(n for n in graph.node if relu.output[0] in n.input)
        assert (relu.op_type, quantiser.op_type) == ("Relu", "Quant")
        step = float(value[quantiser.input[1]])
        slope = gamma / np.sqrt(variance + follower.attribute[0].f)
        gain = scale_in * weight_scale.ravel() * slope / step
        stage = integer_stage(
            affine_thresholds(gain, (beta - mean * slope) / step, 0, 7),
            reachable_sums(integers, low, high), 3, falling=gain < 0,
        )  # fmt: skip
        proofs.append(stage.exceptions)
        layers.append(
            eie.Layer.from_dense_codes(
                codes, codebook * stage.factor, bias=stage.bias, shift=stage.shift, scaling=stage.scaling
            )
        )
        scale_in, low, high = step, 0, 7
    return eie.Model(layers, "keywords"), proofs
