"""Scalings and shifts by constants that follow a linear map, folded into its weights and bias."""

from __future__ import annotations

from typing import Any

import numpy as np

from eie.network.graph import Array, Graph, Node, constant_values, count_uses
from eie.network.operators import LINEAR
from eie.network.operators.linear import gemm_bias
from eie.network.operators.reduction import batch_norm_affine
from eie.network.quantised import data_grid

_FOLDABLE = ("Gemm", "MatMul", "Conv", "ConvTranspose")
_AFFINE = ("Mul", "Add", "Sub", "Div", "BatchNormalization")


def fold_affine(graph: Graph) -> Graph:
    """Return a graph whose linear maps hold the scalings, shifts and batch normalisations that followed them.

    Quantised ones (data and weights on a grid) keep them apart: with their own weights their integers are exact.
    """
    nodes: dict[str, Node] = {}
    constants, uses = dict(graph.constants), count_uses(graph)
    makers: dict[str, Node] = {}
    for node in graph.nodes:
        data = _data_of(node, constants)
        linear = makers.get(data) if data else None
        folded = None
        if data and linear is not None and uses[data] == 1 and linear.operator in _FOLDABLE:
            folded = _folded(linear, node, constants, graph.shapes, makers)
        if folded is not None and linear is not None:
            del nodes[linear.outputs[0]]
            node = folded
        nodes[node.outputs[0]] = node
        makers.update(dict.fromkeys(node.outputs, node))
    return Graph(nodes.values(), graph.inputs, graph.outputs, constants, graph.name, shapes=graph.shapes)


def _data_of(node: Node, constants: dict[str, Array]) -> str | None:
    """Return the one input of an affine node that is not constant."""
    if node.operator not in _AFFINE:
        return None
    data = [name for name in node.inputs if name not in constants]
    if len(data) != 1 or (node.operator in ("Div", "BatchNormalization") and data[0] != node.inputs[0]):
        return None
    return data[0]


def _folded(
    linear: Node, node: Node, constants: dict[str, Array], shapes: dict[str, Any], makers: dict[str, Node]
) -> Node | None:
    """Return the linear node with the affine one in it, or None if that is not a factor and a shift for each row."""
    values = constant_values(linear, constants)
    if LINEAR[linear.operator].weights(values, linear.attributes) is None or node.attributes.get("training_mode"):
        return None
    place = next(i for i, name in enumerate(linear.inputs) if name not in constants)
    if data_grid(linear.inputs[place], makers, constants) is not None:
        return None
    parts = _parts(linear, values, weights_first=place == 1)
    rank = len(shapes[linear.outputs[0]]) if linear.outputs[0] in shapes else None
    if parts is None:
        return None
    weight, bias, rows, axis = parts
    affine = _affine(node, constants, rows, axis, linear.operator, rank)
    if affine is None:
        return None
    factor, offset = affine
    name = node.outputs[0]
    scaled = _scale_rows(linear, weight, factor, place == 1)
    shifted = bias * factor + offset
    if place == 1:
        shifted = shifted[:, None]
    constants[f"{name}/weight"], constants[f"{name}/bias"] = scaled.astype(weight.dtype), shifted.astype(weight.dtype)
    inputs = [linear.inputs[place], f"{name}/weight"]
    attributes = linear.attributes
    if linear.operator == "Gemm":
        attributes = {**attributes, "alpha": 1.0, "beta": 1.0}
    return Node(
        linear.operator, (*(inputs[::-1] if place == 1 else inputs), f"{name}/bias"), (name,), attributes, linear.name
    )


def _parts(linear: Node, values: list[Any], weights_first: bool) -> tuple[Array, Array, int, int] | None:
    """Return weight (alpha in it), bias (R,), R, and the axis of the output along which the rows lie."""
    weight, bias = values[0 if weights_first else 1], values[2] if len(values) > 2 else None
    if linear.operator == "Gemm":
        turned = linear.attributes["transA" if weights_first else "transB"]
        rows = weight.shape[0 if weights_first != bool(turned) else 1]
        bias = gemm_bias(values, linear.attributes) if bias is not None else None
        if bias is None and len(values) > 2 and linear.inputs[2]:
            return None
        weight = weight * linear.attributes["alpha"]
    elif linear.operator == "MatMul":
        if weight.ndim != 2:
            return None
        rows = weight.shape[0 if weights_first else 1]
    else:
        rows = weight.shape[0] if linear.operator == "Conv" else weight.shape[1] * linear.attributes["group"]
    if linear.operator in ("Conv", "ConvTranspose"):
        if bias is None and len(linear.inputs) > 2 and linear.inputs[2]:
            return None
        axis = 1 - weight.ndim
    else:
        axis = -2 if weights_first else -1
    return weight, np.zeros(rows) if bias is None else bias.ravel().astype(np.float64), rows, axis


def _affine(
    node: Node, constants: dict[str, Array], rows: int, axis: int, operator: str, rank: int | None
) -> tuple[Array, Array] | None:
    """Return factor and offset of each row, or None."""
    if node.operator == "BatchNormalization":
        if axis == -2 or (operator == "MatMul" and rank != 2):  # its channels are axis 1
            return None
        scale, bias, mean, variance = (constants[name] for name in node.inputs[1:])
        return batch_norm_affine(scale, bias, mean, variance, node.attributes["epsilon"])
    first = node.inputs[0] in constants
    value = _by_row(constants[node.inputs[0 if first else 1]], rows, axis, operator, rank)
    if value is None or (node.operator == "Div" and not value.all()):
        return None
    one, zero = np.ones(rows), np.zeros(rows)
    if node.operator == "Mul":
        return value, zero
    if node.operator == "Div":
        return 1 / value, zero
    if node.operator == "Add":
        return one, value
    return (-one, value) if first else (one, -value)


def _by_row(value: Array, rows: int, axis: int, operator: str, rank: int | None) -> Array | None:
    """Return a constant that broadcasts to the output as one number a row, float64 (R,), or None if it is more."""
    least = {"Gemm": 2, "MatMul": rank or 1}.get(operator, -axis + 1)
    if value.dtype.kind != "f" or value.ndim > least:
        return None
    aligned: Array = value.reshape((1,) * (max(least, -axis) - value.ndim) + value.shape)
    along = int(aligned.shape[axis])
    if aligned.size != along or along not in (1, rows):
        return None
    return np.broadcast_to(aligned.ravel().astype(np.float64), (rows,))


def _scale_rows(linear: Node, weight: Array, factor: Array, weights_first: bool) -> Array:
    """Multiply what makes each output by its factor."""
    if linear.operator == "Conv":
        return weight * factor.reshape(-1, *(1 for _ in weight.shape[1:]))
    if linear.operator == "ConvTranspose":
        groups = linear.attributes["group"]
        parts = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        by_group = factor.reshape(groups, 1, -1, *(1 for _ in weight.shape[2:]))
        return (parts * by_group).reshape(weight.shape)
    turned = linear.operator == "Gemm" and linear.attributes["transA" if weights_first else "transB"]
    along_first = weights_first != bool(turned)
    return weight * (factor[:, None] if along_first else factor)
