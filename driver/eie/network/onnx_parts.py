"""What nodes of an ONNX model are replaced by, while it is a protobuf message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
