"""ONNX's products of integers, brought to products of the numbers that they stand for in a protobuf model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.onnx_functions import graphs_of
from eie.network.onnx_parts import Parts, Replace, element_type, replace_nodes

INTEGER_OPERATORS = ("MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv")


def plain_integers(model: Any) -> Any:
    """Return a model without products of integers.

    Those of two quantised tensors are their floats' between `DequantizeLinear` and `QuantizeLinear`; those that give
    int32 are products of what is left without the zero points, as floats, which hold sums up to 2^24 exactly.
    """
    from onnx import shape_inference

    if not any(_is_integer(node) for graph in graphs_of(model.graph) for node in graph.node):
        return model
    model = shape_inference.infer_shapes(model)

    def of(graph: Any) -> Replace:
        sizes = _sizes(graph)

        def replace(node: Any, nodes: list[Any]) -> bool:
            if _is_integer(node):
                _Product(node, graph, nodes, sizes).replace()
            return _is_integer(node)

        return replace

    replace_nodes(model, of)
    return model


def _is_integer(node: Any) -> bool:
    return node.op_type in INTEGER_OPERATORS and node.domain in ("", "ai.onnx")


def _sizes(graph: Any) -> dict[str, tuple[int, ...]]:
    """Return the sizes of tensors, as far as they are known; one that is not is 0."""
    found = {}
    for value in (*graph.value_info, *graph.output, *graph.input):
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            found[value.name] = tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
    found.update({tensor.name: tuple(tensor.dims) for tensor in graph.initializer})
    return found


class _Product(Parts):
    """What a product of integers becomes.

    Parameters
    ----------
    node, graph, nodes
        See `Parts`.
    sizes : dict
        See `_sizes`.
    """

    def __init__(self, node: Any, graph: Any, nodes: list[Any], sizes: dict[str, tuple[int, ...]]) -> None:
        super().__init__(node, graph, nodes)
        self.sizes = sizes
        self.convolves = "Conv" in node.op_type
        self.inputs = [*node.input, *[""] * 9]

    def replace(self) -> None:
        """Add the nodes."""
        try:
            if self.node.op_type.startswith("QLinear"):
                self.between_quantisers()
            else:
                self.without_zero_points()
        except NetworkError as error:
            raise NetworkError(f"{self.title}: {error}") from error

    def product(self, inputs: list[str]) -> str:
        """Add the product, with the node's attributes."""
        made = self.add("Conv" if self.convolves else "MatMul", inputs, "product")
        self.nodes[-1].name = self.node.name
        self.nodes[-1].attribute.extend(self.node.attribute)
        return made

    def between_quantisers(self) -> None:
        """Dequantise, multiply and quantise."""
        x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias, *_ = self.inputs
        factors = [
            self.dequantised(x, x_scale, x_zero, "x", -2),
            self.dequantised(w, w_scale, w_zero, "w", 0 if self.convolves else -1),
        ]
        if bias:
            unit = self.add("Mul", [x_scale, w_scale], "unit")
            factors.append(self.add("Mul", [self.as_floats(bias, "integers"), unit], "bias"))
        self.end("QuantizeLinear", [self.product(factors), y_scale, y_zero])

    def without_zero_points(self) -> None:
        """Subtract the zero points, multiply, and give integers again."""
        x, w, x_zero, w_zero, *_ = self.inputs
        behind = self.rank(w) - 1 if self.convolves else 0
        factors = [self.centred(x, x_zero, "x", 1), self.centred(w, w_zero, "w", behind)]
        above = self.add("Add", [self.product(factors), self.half()], "above")
        self.end("Cast", [self.add("Floor", [above], "sums")], to=element_type("INT32"))

    def half(self) -> str:
        """Return a constant of 0.5: below operator set 11 nothing else rounds."""
        return self.constant("half", np.float32(0.5))

    def dequantised(self, name: str, scale: str, zero: str, what: str, axis: int) -> str:
        """Return the floats of a quantised tensor, which has one scale or several along an axis."""
        if self.several(scale):
            return self.add("DequantizeLinear", [name, scale, zero], what, axis=axis)
        alone = [self.shaped(given, [], f"{what} {kind}") for given, kind in ((scale, "scale"), (zero, "zero"))]
        return self.add("DequantizeLinear", [name, *alone], what)

    def centred(self, name: str, zero: str, what: str, last: int) -> str:
        """Return a tensor as floats without its zero point; several lie along an axis with `last` axes behind it."""
        floats = self.as_floats(name, what)
        if not zero:
            return floats
        shape = [-1, *[1] * last] if self.several(zero) else []
        return self.add("Sub", [floats, self.as_floats(self.shaped(zero, shape, what), f"{what} zero")], f"{what} left")

    def several(self, name: str) -> bool:
        """Say whether there is one scale or zero point for each row or column, and not one for all."""
        if name not in self.sizes or not all(self.sizes[name]):
            raise NetworkError(f"the shape of {name!r} is not known; make it a constant")
        if len(self.sizes[name]) > 1:
            raise NetworkError(f"{name!r} has the shape {self.sizes[name]}; it must be one number or a vector")
        return math.prod(self.sizes[name]) > 1

    def rank(self, name: str) -> int:
        """Return how many dimensions a tensor has."""
        if name not in self.sizes:
            raise NetworkError(f"the shape of {name!r} is not known; make it a constant")
        return len(self.sizes[name])

    def shaped(self, name: str, shape: list[int], what: str) -> str:
        """Return a vector in another shape."""
        if not name or len(self.sizes.get(name, ())) == len(shape):
            return name
        return self.add("Reshape", [name, self.constant(f"{what} shape", np.array(shape, np.int64))], f"{what} one")
