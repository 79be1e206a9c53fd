"""What nodes of an ONNX model are replaced by, while it is a protobuf message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eie.errors import NetworkError
from eie.network.onnx_functions import graphs_of

OWN_DOMAIN = "eie"
"""Domain of nodes in the newest form of the operator table, whatever operator set the file imports."""

Replace = Callable[[Any, list[Any]], bool]
"""Adds to a list what replaces a node, and says whether it did."""


class Parts:
    """The nodes that one becomes, added to a list.

    Parameters
    ----------
    node : NodeProto
    graph : GraphProto
        Where the node is; gets more constants.
    nodes : list of NodeProto
    """

    def __init__(self, node: Any, graph: Any, nodes: list[Any]) -> None:
        self.node, self.graph, self.nodes = node, graph, nodes

    @property
    def title(self) -> str:
        """What messages call the node."""
        return f"{self.node.op_type} node {self.node.name or self.node.output[0]!r}"

    def add(self, operator: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output of its own."""
        made = f"{self.node.output[0]}:{name}"
        self.put(operator, inputs, [made], domain, **attributes)
        return made

    def end(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> None:
        """Add the node that gives what the given one gave."""
        self.put(operator, inputs, self.node.output, domain, **attributes)

    def put(
        self, operator: str, inputs: list[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> None:
        """Add a node with outputs of any names."""
        from onnx import helper

        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, inputs, outputs, domain=domain or None, **given))

    def constant(self, what: str, values: ArrayLike) -> str:
        """Return the name of a constant."""
        from onnx import numpy_helper

        made = f"{self.node.output[0]}:{what}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values), made))
        return made

    def as_floats(self, name: str, what: str) -> str:
        """Add a cast to float32."""
        return self.add("Cast", [name], what, to=element_type("FLOAT"))


@dataclass(frozen=True)
class Known:
    """What is known of a model's tensors.

    Parameters
    ----------
    ranks : dict of str to int
        How many dimensions they have.
    constants : dict of str to TensorProto
    """

    ranks: dict[str, int]
    constants: dict[str, Any]


def known_of(model: Any) -> Known:
    """Return what is known of a model's tensors, as far as onnx can infer it."""
    from onnx import shape_inference

    ranks, constants = dict[str, int](), dict[str, Any]()
    for graph in graphs_of(shape_inference.infer_shapes(model).graph):
        for value in (*graph.value_info, *graph.output, *graph.input):
            if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
                ranks[value.name] = len(value.type.tensor_type.shape.dim)
        constants |= {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                constants[node.output[0]] = node.attribute[0].t
    return Known({**ranks, **{name: len(tensor.dims) for name, tensor in constants.items()}}, constants)


class Given(Parts):
    """A node of ONNX Runtime, and what it becomes.

    Parameters
    ----------
    node, graph, nodes
        See `Parts`.
    known : Known
    """

    def __init__(self, node: Any, graph: Any, nodes: list[Any], known: Known) -> None:
        from onnx import helper

        super().__init__(node, graph, nodes)
        self.known = known
        self.inputs = [*node.input, *[""] * 12]
        self.attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def pick(self, *names: str) -> dict[str, Any]:
        """Return some attributes as far as they are given."""
        return {name: self.attributes[name] for name in names if name in self.attributes}

    def others(self, *names: str) -> dict[str, Any]:
        """Return all attributes but some."""
        return {name: value for name, value in self.attributes.items() if name not in names}

    def refuse(self, name: str, taken: Any) -> None:
        """Refuse an attribute that is not what alone is supported."""
        value = self.attributes.get(name, taken)
        if value != taken:
            raise NetworkError(f"{name} {value!r} is not supported; {taken!r} is")

    def own(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node of the table's newest form."""
        return self.add(operator, inputs, name, OWN_DOMAIN, **attributes)

    def sum(self, name: str, *terms: str) -> str:
        """Add the sum of those terms that are given."""
        total, *rest = [term for term in terms if term]
        for i, term in enumerate(rest):
            total = self.add("Add", [total, term], f"{name} {i}")
        return total

    def turned(self, name: str, turn: int, what: str) -> str:
        """Return a tensor with its last two axes swapped if `turn`; Einsum does so for any number of axes."""
        return self.own("Einsum", [name], what, equation="...ij->...ji") if turn else name

    def dequantised(self, quantised: list[str], what: str) -> str:
        """Return the floats of a tensor, given with its one scale and zero point."""
        return self.own("DequantizeLinear", quantised, what)


def element_type(name: str) -> int:
    """Return ONNX's number of an element type."""
    from onnx import TensorProto

    number: int = TensorProto.DataType.Value(name)
    return number


def replace_nodes(model: Any, of: Callable[[Any], Replace]) -> None:
    """Let functions replace nodes of a model; `of` gives that of each of its graphs."""
    for graph in graphs_of(model.graph):
        replace, nodes = of(graph), list[Any]()
        for node in graph.node:
            if not replace(node, nodes):
                nodes.append(node)
        set_nodes(graph, nodes)


def set_nodes(graph: Any, nodes: Iterable[Any]) -> None:
    """Give a graph other nodes, its own among them: messages of a list die with it, so that copies are kept."""
    kept = []
    for node in nodes:
        kept.append(type(node)())
        kept[-1].CopyFrom(node)
    del graph.node[:]
    graph.node.extend(kept)


def import_domain(model: Any, domain: str) -> None:
    """Say that a model has operators of a domain, which onnx's checker asks for."""
    from onnx import helper

    if all(entry.domain != domain for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(domain, 1))
