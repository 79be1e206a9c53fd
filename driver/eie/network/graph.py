"""A network as a graph of operators."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.errors import NetworkError
from eie.network.operators import LINEAR, OPERATORS, Operator

Array = NDArray[Any]
ABSENT = ""
"""Name of an optional input that is not given, and of an output that nobody wants."""
CONDITIONAL = "If"
LOOPS = ("Loop", "Scan")
CONTROL = (CONDITIONAL, *LOOPS)
"""The operators that hold graphs, branches or a body, whose nodes may read what is outside."""

DEPTH_LIMIT = 32
"""Deepest nesting of branches."""


@dataclass(frozen=True)
class Value:
    """What is known of a graph's input or output.

    Parameters
    ----------
    name : str
    dtype : str
        numpy's name of the element type.
    shape : tuple of int, str or None, or None
        A name or None stands for any size; no shape for any.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[int | str | None, ...] | None = None

    def __str__(self) -> str:
        shape = "any shape" if self.shape is None else "x".join(str(s or "?") for s in self.shape) or "scalar"
        return f"{self.name} {self.dtype} {shape}"


@dataclass(frozen=True)
class Node:
    """One operation.

    Parameters
    ----------
    operator : str
        A name of `eie.network.operators.OPERATORS`, or of `CONTROL`.
    inputs, outputs : tuple of str
        Names of tensors.
    attributes : dict
        Numbers, text, lists of them, arrays; graphs for those of `CONTROL`.
    name : str
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return f"{self.operator} node {self.name or next(iter(self.outputs), '')!r}"

    @property
    def branches(self) -> list[Graph]:
        """The graphs that the node holds."""
        return [value for value in self.attributes.values() if isinstance(value, Graph)]

    def walk(self) -> Iterator[Node]:
        """Yield the node, and those of its branches."""
        yield self
        for branch in self.branches:
            yield from branch.walk()


@dataclass(frozen=True, eq=False)
class Graph:
    """A network as a graph: nodes in an order in which they can be computed.

    Parameters
    ----------
    nodes : iterable of Node
        In any order; kept in one in which they can be computed.
    inputs, outputs : iterable of Value
    constants : mapping of str to ndarray
    name : str
    outer : iterable of str
        Tensors of the surrounding graph that a branch may read.
    shapes : mapping of str to tuple, optional
        Shapes of tensors as far as a reader knows them; as those of `Value`.

    Raises
    ------
    NetworkError
        If an operator or attribute is not known, a tensor is missing or made twice, or nodes wait for one another.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    constants: dict[str, Array]
    name: str = "network"
    shapes: dict[str, tuple[int | str | None, ...]] = field(default_factory=dict, compare=False)

    def __init__(
        self,
        nodes: Iterable[Node],
        inputs: Iterable[Value],
        outputs: Iterable[Value],
        constants: Mapping[str, ArrayLike] | None = None,
        name: str = "network",
        outer: Iterable[str] = (),
        shapes: Mapping[str, tuple[int | str | None, ...]] | None = None,
    ) -> None:
        object.__setattr__(self, "inputs", tuple(inputs))
        object.__setattr__(self, "outputs", tuple(outputs))
        object.__setattr__(self, "constants", {key: np.asarray(value) for key, value in (constants or {}).items()})
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "shapes", dict(shapes or {}))
        known = {value.name for value in self.inputs} | set(self.constants) | set(outer) | {ABSENT}
        object.__setattr__(self, "nodes", tuple(ordered([_checked(node, known) for node in nodes], known)))
        made = known | {output for node in self.nodes for output in node.outputs}
        for value in self.outputs:
            if value.name not in made:
                raise NetworkError(f"the graph's output {value.name!r} is made by no node")
        if not self.outputs:
            raise NetworkError("the graph has no outputs")

    def __repr__(self) -> str:
        return f"<Graph {self.name!r}: {len(self.nodes)} nodes, {len(self.constants)} constants>"

    def with_nodes(self, nodes: Iterable[Node]) -> Graph:
        """Return the graph with other nodes, and no constants but those that they read."""
        nodes = tuple(nodes)
        bare = Graph.__new__(Graph)
        for name in ("inputs", "outputs", "name", "shapes", "constants"):
            object.__setattr__(bare, name, getattr(self, name))
        object.__setattr__(bare, "nodes", nodes)
        read = bare.reads()
        constants = {name: array for name, array in self.constants.items() if name in read}
        made = {value.name for value in self.inputs} | set(self.constants) | {o for n in nodes for o in n.outputs}
        return Graph(nodes, self.inputs, self.outputs, constants, self.name, read - made, self.shapes)

    def walk(self) -> Iterator[Node]:
        """Yield every node, those of branches too."""
        for node in self.nodes:
            yield from node.walk()

    def reads(self) -> set[str]:
        """Return the tensors that the nodes read, those of the surrounding graph too."""
        found = {name for node in self.nodes for name in node.inputs} | {value.name for value in self.outputs}
        return found.union(*(from_outside(branch) for node in self.nodes for branch in node.branches))


def _checked(node: Node, known: Collection[str]) -> Node:
    """Return a node with all its attributes, or raise `NetworkError`; `known` is made by no node."""
    if node.operator in CONTROL:
        if not node.branches:
            raise NetworkError(f"{node}: holds no graph")
        return node
    try:
        operator = _operator(node, known)
        least, most = operator.inputs
        given = len(node.inputs)
        while given > least and node.inputs[given - 1] == ABSENT:
            given -= 1
        missing = given < least or (node.inputs[:least].count(ABSENT) > 0 and node.operator not in LINEAR)
        if node.operator in LINEAR and any(node.inputs):  # its weights may be in products
            missing = False
        if missing or (most is not None and given > most):
            raise NetworkError(f"has {given} inputs; it takes {least}" + (f" to {most}" if most != least else ""))
        attributes = operator.complete(node.attributes)
    except NetworkError as error:
        raise NetworkError(f"{node}: {error}") from None
    return Node(node.operator, node.inputs[:given], _named(node.outputs), attributes, node.name)


def _named(outputs: tuple[str, ...]) -> tuple[str, ...]:
    """Return outputs of which the first has a name, for nodes are told apart by it; an LSTM's is often not wanted."""
    if not outputs or outputs[0] != ABSENT:
        return outputs
    return (f"eie:{next((name for name in outputs if name), '')}", *outputs[1:])


def find_operator(name: str) -> Operator:
    """Return an operator of the table, or raise `NetworkError`."""
    if name not in OPERATORS:
        raise NetworkError(f"operator {name} is not known (docs/networks.md lists those that are)")
    return OPERATORS[name]


def _operator(node: Node, known: Collection[str]) -> Operator:
    """Return the operator of a node, or raise `NetworkError` that says how to do without it."""
    try:
        return find_operator(node.operator)
    except NetworkError as error:
        before = [name for name in node.inputs if name not in known]
        advice = "" if before else "; it reads the network's own inputs, so that there is nothing before it to keep"
        if before:
            advice = f"; name other outputs to end the network before it: outputs={before!r}, on the command line "
            advice += f"--outputs {' '.join(before)}"
        raise NetworkError(f"{error}{advice}") from None


def ordered(nodes: list[Node], known: set[str]) -> list[Node]:
    """Return nodes so that each comes after those that it reads (Kahn's algorithm), or raise `NetworkError`."""
    makers: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if name != ABSENT and (name in makers or name in known):
                raise NetworkError(f"{node}: tensor {name!r} is made twice")
            makers[name] = i
    makers.pop(ABSENT, None)
    waits: list[set[int]] = []
    readers: list[list[int]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        read = set(node.inputs).union(*(from_outside(branch) for branch in node.branches)) - known
        for name in read:
            if name not in makers:
                raise NetworkError(f"{node}: its input {name!r} is made by no node and is no input of the graph")
        waits.append({makers[name] for name in read})
        for maker in waits[i]:
            readers[maker].append(i)
    ready = [i for i, wait in enumerate(waits) if not wait]
    order = []
    for i in ready:  # the list grows while it is walked
        order.append(nodes[i])
        for reader in readers[i]:
            waits[reader].discard(i)
            if not waits[reader]:
                ready.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for node, wait in zip(nodes, waits, strict=True) if wait)
        raise NetworkError(f"{stuck} waits for its own output: the graph has a cycle")
    return order


def from_outside(branch: Graph) -> set[str]:
    own = {value.name for value in branch.inputs} | set(branch.constants) | {ABSENT}
    return branch.reads() - own - {name for node in branch.nodes for name in node.outputs}


def constant_values(node: Node, constants: Mapping[str, Array]) -> list[Array | None]:
    """Return a node's inputs: arrays where they are constant, else None."""
    return [constants.get(name) if name else None for name in node.inputs]


def count_uses(graph: Graph) -> dict[str, int]:
    """Return how often each tensor is read: by nodes, by branches, and as an output."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        for name in (*node.inputs, *(name for branch in node.branches for name in from_outside(branch))):
            uses[name] = uses.get(name, 0) + 1
    for value in graph.outputs:
        uses[value.name] = uses.get(value.name, 0) + 1
    return uses
