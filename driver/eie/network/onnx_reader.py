"""Reader of ONNX files, those of QONNX among them, into a `Graph`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eie.errors import MissingExtraError, NetworkError
from eie.network.graph import ABSENT, CONTROL, DEPTH_LIMIT, Graph, Node, Value, ordered
from eie.network.onnx_functions import expanded, graphs_of
from eie.network.onnx_integers import plain_integers
from eie.network.onnx_ml import plain_ml
from eie.network.onnx_parts import OWN_DOMAIN, import_domain, set_nodes
from eie.network.onnx_runtime import RUNTIME_DOMAIN, plain_runtime
from eie.network.onnx_scopes import name_apart
from eie.network.onnx_values import array_of, constant_array, dense_array, end_of, require_text, value_of
from eie.network.onnx_versions import modernise
from eie.network.operators import OPERATORS
from eie.network.operators.resizing import ALIGN_WHOLE

OLDEST_VERSION = 7
"""Oldest operator set that is read."""
QONNX_OPERATORS = ("Quant", "BipolarQuant", "MultiThreshold")
_UNNAMED = "network"
"""Name of a graph without one, which onnx's checker wants."""
_QONNX_DOMAIN = "qonnx.custom_op.general"
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", _QONNX_DOMAIN, "onnx.brevitas", "finn.custom_op.general", OWN_DOMAIN)
"""Domains whose operators are those of the table."""


def read_onnx(
    source: Path | Any, outputs: Collection[str] | None = None, inputs: Mapping[str, ArrayLike] | None = None
) -> Graph:
    """Return the graph of an ONNX file, or of an ``onnx.ModelProto``.

    Parameters
    ----------
    source : path or onnx.ModelProto
    outputs : collection of str, optional
        Tensors to end at; default: the graph's own outputs.
    inputs : mapping of str to array_like, optional
        Inputs that are to be constant from now on, a sampling rate say.

    Raises
    ------
    NetworkError
        If the file is damaged or contradicts itself, or the graph needs an operator that is not known.
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("reading .onnx needs onnx: pip install 'eie-pynq[onnx]'") from error
    named = f"{source}" if isinstance(source, (str, Path)) else "the ONNX model"
    try:
        model = onnx.load(str(source)) if isinstance(source, (str, Path)) else source
        require_text(model)
        versions = {entry.domain: entry.version for entry in model.opset_import}
        model = _checked(model)
        return _Reader(model, versions, inputs or {}).graph(model.graph, outputs)
    except NetworkError as error:
        raise NetworkError(f"{named}: {error}") from error
    except Exception as error:  # protobuf's own errors, and tensors whose data disagree with their shape
        words = " ".join(str(error).split())
        raise NetworkError(f"{named}: not a readable .onnx file ({type(error).__name__}: {words})") from error


def _checked(model: Any) -> Any:
    """Return a model that onnx's checker and shape inference find no fault with, functions expanded."""
    import onnx

    version = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)
    if version < OLDEST_VERSION:
        raise NetworkError(f"operator set {version} is too old; {OLDEST_VERSION} is the oldest, export it anew")
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.name = copy.graph.name or _UNNAMED
    name_apart(copy)
    _name_qonnx(copy)
    plain_runtime(copy)
    plain_ml(copy)
    copy = plain_integers(copy)
    _fill_sparse(copy.graph)
    _open_sizes(copy.graph)
    _align_whole(copy)
    _sort(copy.graph)
    onnx.checker.check_model(_with_shapes(copy))
    copy = expanded(copy, (*OPERATORS, *_OWN))
    try:
        return onnx.shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError:
        # With values to propagate, it takes sums of integer vectors for those of shapes, and rejects some.
        return onnx.shape_inference.infer_shapes(copy, check_type=True, strict_mode=True)


def _with_shapes(model: Any) -> Any:
    """Return a model for the checker, which asks for shapes of inputs and outputs that exporters may leave out."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.shape.SetInParent()
    return copy


def _fill_sparse(model_graph: Any) -> None:
    """Make sparse initializers dense: onnx's shape inference has no operator that takes one."""
    from onnx import numpy_helper

    for graph in graphs_of(model_graph):
        for tensor in graph.sparse_initializer:
            graph.initializer.append(numpy_helper.from_array(dense_array(tensor), tensor.values.name))
        graph.ClearField("sparse_initializer")


def _open_sizes(graph: Any) -> None:
    """Take what some exporters write for sizes that are not known, -1 and "?", for what it means."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim if value.type.HasField("tensor_type") else ():
            if (size.HasField("dim_value") and size.dim_value < 0) or size.dim_param == "?":
                size.Clear()


def _name_qonnx(model: Any) -> None:
    """Give QONNX's operators their domain: exporters leave it out, and the checker knows them in none."""
    found = False
    for node in model.graph.node:
        if node.op_type in QONNX_OPERATORS:
            node.domain, found = _QONNX_DOMAIN, True
    if found:
        import_domain(model, _QONNX_DOMAIN)


def _align_whole(model: Any) -> None:
    """Align the corners of resized tensors as PyTorch does, where it wrote the file.

    Where a scale gives a fractional length, PyTorch and ONNX Runtime take what is left of it, onnx's own evaluation and
    its node tests the fraction, too.
    """
    if model.producer_name != "pytorch":
        return
    for graph in graphs_of(model.graph):
        for attribute in (attribute for node in graph.node if node.op_type == "Resize" for attribute in node.attribute):
            if attribute.s == b"align_corners":
                attribute.s = ALIGN_WHOLE.encode()


def _sort(graph: Any) -> None:
    """Bring nodes into an order in which they can be computed: some converters append theirs, and the checker minds.

    It also says which nodes form a cycle, or read what nobody makes, by name.
    """
    outside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {ABSENT}
    made = {name for node in graph.node for name in node.output}
    known, sorted_already = set(outside), True
    messages: dict[int, Any] = {}
    nodes = []
    for message in graph.node:
        inner = (name for name in sorted(_reads(message)) if name in made)  # what branches read from outside
        inputs = tuple(dict.fromkeys((*message.input, *inner)))
        nodes.append(Node(message.op_type, inputs, tuple(message.output), name=message.name))
        messages[id(nodes[-1])] = message
        sorted_already = sorted_already and known.issuperset(inputs)
        known.update(message.output)
    order = ordered(nodes, outside)
    if not sorted_already:
        set_nodes(graph, [messages[id(node)] for node in order])


_OWN = ("Constant", *CONTROL, "Scatter", "Upsample")
"""Operators beside those of the table."""


class _Reader:
    """Turns protobuf nodes into a graph's."""

    def __init__(self, model: Any, versions: dict[str, int], bound: Mapping[str, ArrayLike]) -> None:
        self.version = max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=1)
        self.bound = bound
        self.made = 0

    def graph(
        self, graph: Any, outputs: Collection[str] | None, outer: frozenset[str] = frozenset(), depth: int = 0
    ) -> Graph:
        """Return a graph, or a branch that may read `outer`."""
        if depth > DEPTH_LIMIT:
            raise NetworkError(f"branches are nested more than {DEPTH_LIMIT} deep")
        constants = {tensor.name: array_of(tensor) for tensor in graph.initializer}
        inner = depth > 0
        inputs = [value_of(value, inner) for value in graph.input if value.name not in constants]
        if depth == 0:
            inputs = self._bind(inputs, constants)
        described = {value.name: value for value in (*graph.value_info, *graph.output)}
        ends = list(outputs or [v.name for v in graph.output])
        wanted = [end_of(described.get(name), name, graph, inner) for name in ends]
        made = {o for n in graph.node for o in n.output}
        visible = frozenset(outer | constants.keys() | {v.name for v in inputs} | made)
        for value in wanted:
            if value.name not in visible:
                raise NetworkError(f"there is no tensor {value.name!r} to end at")
        kept = _needed(graph, {value.name for value in wanted})
        of_kept = {name for node in kept for name in node.output} & described.keys()
        known = {name: value_of(described[name], inner=True) for name in of_kept}
        nodes = []
        for node in kept:
            converted = self._node(node, constants, visible, depth)
            if converted is not None:
                nodes.append(converted)
        read = {name for node in kept for name in _reads(node)} | {value.name for value in wanted}
        constants = {name: array for name, array in constants.items() if name in read or name.startswith(_MADE)}
        if depth == 0:
            inputs = [value for value in inputs if outputs is None or value.name in read]
        shapes = {name: value.shape for name, value in known.items() if value.shape is not None}
        shapes.update({value.name: value.shape for value in inputs if value.shape is not None})
        return Graph(nodes, inputs, wanted, constants, graph.name or _UNNAMED, outer, shapes)

    def _bind(self, inputs: list[Value], constants: dict[str, Any]) -> list[Value]:
        for name, value in self.bound.items():
            found = next((v for v in inputs if v.name == name), None)
            if found is None:
                raise NetworkError(f"there is no input {name!r} to fix; there are {', '.join(v.name for v in inputs)}")
            constants[name] = np.asarray(value, np.dtype(found.dtype))
        return [value for value in inputs if value.name not in self.bound]

    def _node(self, node: Any, constants: dict[str, Any], visible: frozenset[str], depth: int) -> Node | None:
        attributes = {a.name: self._attribute(a, visible, depth) for a in node.attribute}
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            constants[node.output[0]] = constant_array(attributes)
            return None

        def constant(array: Any) -> str:
            self.made += 1
            name = f"{_MADE}{self.made}"
            constants[name] = np.asarray(array)
            return name

        operator, inputs = node.op_type, list(node.input)
        try:
            if node.domain not in _DOMAINS:
                is_runtimes = node.domain == RUNTIME_DOMAIN
                what = "this operator of ONNX Runtime" if is_runtimes else f"its domain {node.domain!r}"
                raise NetworkError(
                    f"{what} is not known; export the network without a runtime's own operators "
                    "(of ONNX Runtime: not optimised for one processor, and quantised in its QDQ format)"
                )
            if node.domain in ("", "ai.onnx"):
                operator, inputs, attributes = modernise(operator, self.version, inputs, attributes, constant)
        except NetworkError as error:
            raise NetworkError(f"{node.op_type} node {node.name or node.output[0]!r}: {error}") from error
        return Node(operator, tuple(inputs), tuple(node.output), attributes, node.name)

    def _attribute(self, attribute: Any, visible: frozenset[str], depth: int) -> Any:
        from onnx import AttributeProto, helper

        if attribute.type == AttributeProto.GRAPH:
            return self.graph(attribute.g, None, visible, depth + 1)
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            return array_of(value)
        if attribute.type == AttributeProto.SPARSE_TENSOR:
            return dense_array(value)
        if isinstance(value, bytes):
            return value.decode()
        if attribute.type in (AttributeProto.STRINGS, AttributeProto.INTS, AttributeProto.FLOATS):
            return [part.decode() if isinstance(part, bytes) else part for part in value]
        return value


_MADE = "eie:"
"""How the names of constants begin that were attributes."""


def _reads(node: Any) -> set[str]:
    found = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found |= {v.name for v in attribute.g.output}.union(*(_reads(inner) for inner in attribute.g.node))
    return found


def _needed(graph: Any, wanted: set[str]) -> list[Any]:
    """Return the nodes that the wanted tensors depend on, in the file's order."""
    wanted, kept = set(wanted), []
    for node in reversed(graph.node):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted |= _reads(node) - {ABSENT}
    return kept[::-1]
