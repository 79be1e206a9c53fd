"""Networks that Caffe describes, as graphs: the layers of a prototxt, their weights from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.graph import Array, Graph, Node, Value, find_operator
from eie.network.operators.table import Shape, check_elements
from eie.network.prototxt import Message, parse_prototxt

Weights = Callable[[str, Shape, "int | None"], "tuple[Array, Array | None]"]
"""Layer's name, shape of its weights, outputs that have a bias (None: no bias) -> weights and biases; asked in the
prototxt's order."""

CONVOLUTION = "convolution"
_UNARY = {"sigmoid": "Sigmoid", "tanh": "Tanh", "absval": "Abs"}
_NO_OPERATION = ("dropout", "input")


def read_prototxt(text: str, weights: Weights) -> Graph:
    """Return the graph of a network that is described for inference ("deploy"), for any batch.

    Raises
    ------
    NetworkError
        If the description is not well formed, or has a layer that is not known.
    """
    message = parse_prototxt(text)
    return _Builder(message, weights).graph(_first(message, "name", "network"))


def _first(message: Message, name: str, default: Any = None) -> Any:
    return message.get(name, [default])[0]


class _Builder:
    """Adds the nodes of layer after layer; a blob that a layer writes in place becomes another tensor."""

    def __init__(self, message: Message, weights: Weights) -> None:
        self.message, self.weights = message, weights
        self.layers = [*message.get("layer", ()), *message.get("layers", ())]
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self.tensors: dict[str, str] = {}
        self.shapes: dict[str, Shape] = {}

    def graph(self, name: str) -> Graph:
        inputs = [Value(blob, "float32", ("batch", *shape[1:])) for blob, shape in self._inputs().items()]
        if not inputs:
            raise NetworkError("the prototxt names no input; take the one for inference (deploy.prototxt)")
        for value in inputs:
            self.tensors[value.name] = value.name
            self.shapes[value.name] = (1, *value.shape[1:])  # type: ignore[arg-type,index]
        read: set[str] = set()
        for layer in self.layers:
            kind = str(_first(layer, "type", "")).lower().replace("_", "")
            label = _first(layer, "name", kind)
            try:
                read.update(self._add(layer, kind, label))
            except NetworkError as error:
                raise NetworkError(f"layer {label!r}: {error}") from error
        outputs = [Value(tensor, shape=None) for tensor in dict.fromkeys(self.tensors.values()) if tensor not in read]
        return Graph(self.nodes, inputs, outputs, self.constants, str(name))

    def _inputs(self) -> dict[str, Shape]:
        names, flat = self.message.get("input", []), self.message.get("input_dim", [])
        shapes = [tuple(shape.get("dim", ())) for shape in self.message.get("input_shape", ())]
        shapes += [tuple(flat[i : i + 4]) for i in range(0, len(flat), 4)]
        found = dict(zip(names, shapes, strict=False))
        for layer in self.layers:
            if str(_first(layer, "type")).lower() == "input":
                shape = _first(_first(layer, "input_param", {}), "shape", {}).get("dim", ())
                found[_first(layer, "top", _first(layer, "name", "data"))] = tuple(shape)
        for name, shape in found.items():
            if len(shape) < 2 or not all(isinstance(size, int) and size > 0 for size in shape):
                raise NetworkError(f"input {name!r} has the shape {shape}; sizes of batch and features are wanted")
            check_elements(shape)
        return found

    def _add(self, layer: Message, kind: str, label: str) -> list[str]:
        """Add a layer's nodes; return the tensors that it reads."""
        bottoms = []
        for blob in layer.get("bottom", ()):
            if blob not in self.tensors:
                raise NetworkError(f"its input {blob!r} is made by no layer before it")
            bottoms.append(self.tensors[blob])
        top = _first(layer, "top", label)
        if kind in _NO_OPERATION:
            if bottoms:
                self.tensors[top] = bottoms[0]
            return []
        maker = getattr(self, f"_{kind}", None) if kind in _KINDS else None
        if maker is None and kind not in _UNARY:
            raise NetworkError(f"its type {_first(layer, 'type')!r} is not known; {', '.join((*_KINDS, *_UNARY))} are")
        if not bottoms:
            raise NetworkError("it has no input")
        name = label if top in bottoms or top in self.shapes else top
        while name in self.shapes:
            name += "'"
        if maker is None:
            self._node(_UNARY[kind], bottoms[:1], name, label)
        else:
            maker(layer, label, bottoms, name)
        self.tensors[top] = name
        return bottoms

    def _node(self, operator: str, inputs: list[str], output: str, label: str, **attributes: Any) -> None:
        found = find_operator(operator)
        node = Node(operator, tuple(inputs), (output,), found.complete(attributes), label)
        arrays = [
            self.constants[name] if name in self.constants else np.broadcast_to(np.float32(0), self.shapes[name])
            for name in inputs
        ]
        shape = found.shape(*arrays, **node.attributes)
        shape = shape[0] if isinstance(shape, list) else shape
        check_elements(shape)
        self.shapes[output] = tuple(int(size) for size in shape)
        self.nodes.append(node)

    def _weighted(self, label: str, shape: Shape, has_bias: bool) -> list[str]:
        check_elements(shape)
        weight, bias = self.weights(label, shape, shape[0] if has_bias else None)
        parts = {f"{label}.weight": weight, **({} if bias is None else {f"{label}.bias": bias})}
        self.constants.update(parts)
        return list(parts)

    def _convolution(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        given = _first(layer, "convolution_param", {})
        kernel, strides, pads = (_pair(given, *names) for names in _CONVOLVES)
        groups, channels = int(_first(given, "group", 1)), self.shapes[bottoms[0]][1]
        if kernel is None or channels % groups:
            raise NetworkError(f"a kernel is missing, or {channels} channels do not divide into {groups} groups")
        shape = (int(_first(given, "num_output", 0)), channels // groups, *kernel)
        dilation = int(_first(given, "dilation", 1))
        self._node(
            "Conv",
            [bottoms[0], *self._weighted(label, shape, bool(_first(given, "bias_term", True)))],
            name,
            label,
            strides=strides or [1, 1],
            pads=2 * (pads or [0, 0]),
            group=groups,
            dilations=[dilation, dilation],
        )

    def _innerproduct(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        given, data = _first(layer, "inner_product_param", {}), bottoms[0]
        if len(self.shapes[data]) != 2:
            data = f"{name}/flat"
            self._node("Flatten", bottoms[:1], data, data, axis=1)
        shape = (int(_first(given, "num_output", 0)), self.shapes[data][1])
        parts = self._weighted(label, shape, bool(_first(given, "bias_term", True)))
        self._node("Gemm", [data, *parts], name, label, transB=1)

    def _pooling(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        given = _first(layer, "pooling_param", {})
        kind = {"MAX": "Max", "AVE": "Average", 0: "Max", 1: "Average"}.get(_first(given, "pool", "MAX"))
        kernel, strides, pads = (_pair(given, *names) for names in _CONVOLVES)
        if kind is None:
            raise NetworkError(f"pooling {_first(given, 'pool')} is not known; MAX and AVE are")
        if _first(given, "global_pooling", False):
            self._node(f"Global{kind}Pool", bottoms[:1], name, label)
            return
        if kernel is None:
            raise NetworkError("it has no kernel_size")
        extra = {"count_include_pad": 1} if kind == "Average" else {}
        how = {"kernel_shape": kernel, "strides": strides or [1, 1], "pads": 2 * (pads or [0, 0]), "ceil_mode": 1}
        self._node(f"{kind}Pool", bottoms[:1], name, label, **how, **extra)

    def _relu(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        slope = float(_first(_first(layer, "relu_param", {}), "negative_slope", 0))
        self._node("LeakyRelu" if slope else "Relu", bottoms[:1], name, label, **({"alpha": slope} if slope else {}))

    def _lrn(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        given = _first(layer, "lrn_param", {})
        if _first(given, "norm_region", "ACROSS_CHANNELS") not in ("ACROSS_CHANNELS", 0):
            raise NetworkError("its norm_region is not ACROSS_CHANNELS, the only one that is known")
        how = {"size": int(_first(given, "local_size", 5)), "alpha": float(_first(given, "alpha", 1))}
        how |= {"beta": float(_first(given, "beta", 0.75)), "bias": float(_first(given, "k", 1))}
        self._node("LRN", bottoms[:1], name, label, **how)

    def _softmax(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        self._node("Softmax", bottoms[:1], name, label, axis=int(_first(_first(layer, "softmax_param", {}), "axis", 1)))

    def _concat(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        self._node("Concat", bottoms, name, label, axis=int(_first(_first(layer, "concat_param", {}), "axis", 1)))

    def _flatten(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        self._node("Flatten", bottoms[:1], name, label, axis=1)

    def _eltwise(self, layer: Message, label: str, bottoms: list[str], name: str) -> None:
        given = _first(layer, "eltwise_param", {})
        kinds = {"PROD": "Mul", "SUM": "Sum", "MAX": "Max", 0: "Mul", 1: "Sum", 2: "Max"}
        operation = kinds.get(_first(given, "operation", "SUM"))
        if operation is None or "coeff" in given or (operation == "Mul" and len(bottoms) != 2):
            raise NetworkError("it is more than a plain sum, maximum, or product of two")
        self._node(operation, bottoms, name, label)


_KINDS = (CONVOLUTION, "innerproduct", "pooling", "relu", "lrn", "softmax", "concat", "flatten", "eltwise")
_CONVOLVES = (
    ("kernel_size", "kernel_h", "kernel_w"),
    ("stride", "stride_h", "stride_w"),
    ("pad", "pad_h", "pad_w"),
)


def _pair(given: Message, both: str, height: str, width: str) -> list[int] | None:
    """Return a size in both directions, given once, twice, or by direction."""
    if both in given:
        values = [int(size) for size in given[both]]
        return values * 2 if len(values) == 1 else values
    if height in given or width in given:
        return [int(_first(given, height, 0)), int(_first(given, width, 0))]
    return None
