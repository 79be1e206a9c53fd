"""ONNX Runtime's own operators (`com.microsoft`), brought to plain ones in a protobuf model.

Its quantiser and its optimiser write them. What is quantised is computed as the floats that the integers stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_functions import graphs_of
from eie.network.onnx_parts import OWN_DOMAIN, Given, Replace, import_domain, known_of, replace_nodes
from eie.network.onnx_transformers import TRANSFORMER_REWRITES

RUNTIME_DOMAIN = "com.microsoft"
_UNVERSIONED = {"LayerNormalization": "LayerNormalization", "SimplifiedLayerNormalization": "RMSNormalization"}
"""What the optimiser writes as ONNX's own into files of operator sets that lack it, and the table's operator."""


def plain_runtime(model: Any) -> None:
    """Replace ONNX Runtime's operators that plain ones compute; another is refused when the graph is read."""
    from onnx import defs

    version = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)

    def rewrite_of(node: Any) -> Callable[[Given], None] | None:
        if node.domain == RUNTIME_DOMAIN:
            return _REWRITES.get(node.op_type)
        lacks = node.op_type in _UNVERSIONED and not defs.has(node.op_type, version)
        return _unversioned if lacks and node.domain in ("", "ai.onnx") else None

    if not any(rewrite_of(node) for graph in graphs_of(model.graph) for node in graph.node):
        return

    known = known_of(model)

    def of(graph: Any) -> Replace:
        def replace(node: Any, nodes: list[Any]) -> bool:
            rewrite, given = rewrite_of(node), Given(node, graph, nodes, known)
            try:
                if rewrite:
                    rewrite(given)
            except NetworkError as error:
                raise NetworkError(f"{given.title}: {error}") from error
            return rewrite is not None

        return replace

    replace_nodes(model, of)
    import_domain(model, OWN_DOMAIN)


# What the quantiser writes.


def _dynamic_lstm(given: Given) -> None:
    """An LSTM whose weights are int8, by direction or by row, each direction's matrices the other way round."""
    x, w, r, bias, lengths, h, c, peepholes, w_scale, w_zero, r_scale, r_zero, *_ = given.inputs
    sides = [_lstm_weights(given, *names) for names in ((w, w_scale, w_zero, "w"), (r, r_scale, r_zero, "r"))]
    given.end("LSTM", [x, *sides, bias, lengths, h, c, peepholes], **given.attributes)


def _lstm_weights(given: Given, name: str, scale: str, zero: str, what: str) -> str:
    shape = given.constant(f"{what} shape", np.array([0, 1, -1], np.int64))
    units = given.add("Reshape", [scale, shape], f"{what} units")
    floats = given.as_floats(name, what)
    if zero:
        zeros = given.add("Reshape", [given.as_floats(zero, f"{what} zero"), shape], f"{what} zeros")
        floats = given.add("Sub", [floats, zeros], f"{what} left")
    return given.add("Transpose", [given.add("Mul", [floats, units], f"{what} real")], f"{what} rows", perm=[0, 2, 1])


def _between(operator: str, *attributes: str, count: int = 1) -> Callable[[Given], None]:
    """Return the rewrite of an operator on quantised tensors: its inputs are tensor, scale and zero point, in turn."""

    def rewrite(given: Given) -> None:
        given.refuse("channels_last", 0)
        triples = [given.inputs[3 * i : 3 * i + 3] for i in range(count)]
        floats = [given.dequantised(triple, f"x{i}") for i, triple in enumerate(triples)]
        y = given.add(operator, floats, "y", **given.pick(*attributes))
        given.end("QuantizeLinear", [y, *given.inputs[3 * count : 3 * count + 2]], OWN_DOMAIN)

    return rewrite


def _quantised_concat(given: Given) -> None:
    scale, zero, *parts = given.node.input
    triples = [parts[i : i + 3] for i in range(0, len(parts), 3)]
    floats = [given.dequantised(triple, f"x{i}") for i, triple in enumerate(triples)]
    given.end("QuantizeLinear", [given.add("Concat", floats, "y", **given.pick("axis")), scale, zero], OWN_DOMAIN)


def _quantised_where(given: Given) -> None:
    condition, *others = given.inputs
    floats = [given.dequantised(others[i : i + 3], f"x{i}") for i in (0, 3)]
    given.end("QuantizeLinear", [given.add("Where", [condition, *floats], "y"), *others[6:8]], OWN_DOMAIN)


def _quantised_softmax(given: Given) -> None:
    flattened = int(given.attributes.get("opset", 13) < 13)
    attributes = {"axis": given.attributes.get("axis", 1 if flattened else -1), "flattened": flattened}
    y = given.own("Softmax", [given.dequantised(given.inputs[:3], "x")], "y", **attributes)
    given.end("QuantizeLinear", [y, *given.inputs[3:5]], OWN_DOMAIN)


def _quantised_gemm(given: Given) -> None:
    """Weights have one scale or one a column of the product, the int32 bias the unit of the sums."""
    a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero, *_ = given.inputs
    unit = given.add("Mul", [a_scale, b_scale], "unit")
    columns = given.own("DequantizeLinear", [b, b_scale, b_zero], "b", axis=0 if given.attributes.get("transB") else 1)
    factors = [given.dequantised([a, a_scale, a_zero], "a"), columns]
    if c:
        factors.append(given.add("Mul", [given.as_floats(c, "integers"), unit], "bias"))
    attributes = given.pick("alpha", "transA", "transB")
    if c and attributes.get("alpha", 1) != 1:  # ONNX Runtime scales the bias too
        attributes["beta"] = attributes["alpha"]
    if not y_scale:
        given.end("Gemm", factors, **attributes)
        return
    given.end("QuantizeLinear", [given.add("Gemm", factors, "y", **attributes), y_scale, y_zero], OWN_DOMAIN)


def _dynamic_product(given: Given) -> None:
    a, b, b_scale, b_zero, bias, *_ = given.inputs
    names = [f"{given.node.output[0]}:{what}" for what in ("a", "a scale", "a zero")]
    given.put("DynamicQuantizeLinear", [a], names)
    _product_to_floats(given, names[0], b, names[1], b_scale, names[2], b_zero, bias)


def _product_of_integers(given: Given) -> None:
    a, b, a_scale, b_scale, a_zero, b_zero, bias, *_ = given.inputs
    _product_to_floats(given, a, b, a_scale, b_scale, a_zero, b_zero, bias)


def _product_to_floats(
    given: Given, a: str, b: str, a_scale: str, b_scale: str, a_zero: str, b_zero: str, bias: str
) -> None:
    sums = given.as_floats(given.add("MatMulInteger", [a, b, a_zero, b_zero], "sums"), "floats")
    unit = given.add("Mul", [a_scale, b_scale], "unit")
    if not bias:
        given.end("Mul", [sums, unit])
        return
    given.end("Add", [given.add("Mul", [sums, unit], "y"), bias])


def _same(operator: str) -> Callable[[Given], None]:
    """Return the rewrite of an operator that is ONNX's own under another domain."""

    def rewrite(given: Given) -> None:
        given.refuse("channels_last", 0)
        given.end(operator, list(given.node.input), **given.others("channels_last"))

    return rewrite


def _quantiser(given: Given) -> None:
    given.end(given.node.op_type, list(given.node.input), OWN_DOMAIN, **given.attributes)


# What the optimiser writes.


def _activated(operator: str) -> Callable[[Given], None]:
    """Return the rewrite of a linear map, what is added to it, and its activation."""
    fused = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")

    def rewrite(given: Given) -> None:
        *inputs, added = (*given.inputs[:3], given.inputs[3])
        while not inputs[-1]:
            inputs.pop()
        y = given.add(operator, inputs, "y", **given.others(*fused))
        given.nodes[-1].name = given.node.name
        if added:
            y = given.add("Add", [y, added], "sum")
        kind = given.attributes.get("activation", b"").decode() or "Identity"
        values = list(given.attributes.get("activation_params", []))
        values = values or [given.attributes[name] for name in fused[2:4] if name in given.attributes]
        _activate(given, kind, y, values)

    return rewrite


def _activate(given: Given, kind: str, x: str, values: list[float]) -> None:
    if kind == "Clip":
        limits = [given.constant(f"limit {i}", np.float32(value)) for i, value in enumerate(values)]
        given.end("Clip", [x, *limits], OWN_DOMAIN)
    else:
        given.end(kind, [x], OWN_DOMAIN, **dict(zip(("alpha", "beta"), values)))  # noqa: B905 - some have none


def _product(given: Given) -> None:
    """A product of batches of matrices, each turned or not, times a number."""
    given.refuse("transBatchA", 0)
    given.refuse("transBatchB", 0)
    a, b = (given.turned(given.inputs[i], given.attributes.get(f"trans{'AB'[i]}", 0), "ab"[i]) for i in (0, 1))
    alpha = given.attributes.get("alpha", 1.0)
    if alpha == 1:
        given.end("MatMul", [a, b])
    else:
        given.end("Mul", [given.add("MatMul", [a, b], "y"), given.constant("alpha", np.float32(alpha))])
    given.nodes[-1].name = given.node.name


def _unversioned(given: Given) -> None:
    given.end(_UNVERSIONED[given.node.op_type], list(given.node.input), OWN_DOMAIN, **given.attributes)


_WINDOW = ("kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "count_include_pad")
_REWRITES: dict[str, Callable[[Given], None]] = {
    **TRANSFORMER_REWRITES,
    "DynamicQuantizeLSTM": _dynamic_lstm,
    "DynamicQuantizeMatMul": _dynamic_product,
    "MatMulIntegerToFloat": _product_of_integers,
    "QGemm": _quantised_gemm,
    "QLinearConv": _same("QLinearConv"),
    "QLinearAdd": _between("Add", count=2),
    "QLinearMul": _between("Mul", count=2),
    "QLinearSigmoid": _between("Sigmoid"),
    "QLinearLeakyRelu": _between("LeakyRelu", "alpha"),
    "QLinearAveragePool": _between("AveragePool", *_WINDOW),
    "QLinearGlobalAveragePool": _between("GlobalAveragePool"),
    "QLinearSoftmax": _quantised_softmax,
    "QLinearConcat": _quantised_concat,
    "QLinearWhere": _quantised_where,
    "QuantizeLinear": _quantiser,
    "DequantizeLinear": _quantiser,
    "FusedConv": _activated("Conv"),
    "FusedGemm": _activated("Gemm"),
    "FusedMatMul": _product,
}
