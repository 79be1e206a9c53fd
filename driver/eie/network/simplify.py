"""A graph made simpler, its results the same: constants folded, no-ops gone, scalings moved into the weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eie.errors import NetworkError
from eie.network.affine import fold_affine
from eie.network.evaluation import evaluate
from eie.network.graph import CONDITIONAL, Array, Graph, Node, Value, count_uses, from_outside
from eie.network.loops import steps_at_most
from eie.network.operators.sequences import is_sequence

_NO_OPERATION = ("Identity", "Dropout")
_FOLDED_LIMIT = 1 << 24
"""Most elements of what is folded; a larger constant is made when it is needed."""
_FOLDED_STEPS = 1 << 12
"""Most steps that the loops of a constant take, or it is made when it is needed, too."""


def simplify(graph: Graph) -> Graph:
    """Return a graph that computes the same, with fewer nodes.

    Folded are nodes that read only constants, branches with a constant condition, identities, and batch normalisations
    and scalings by constants that follow a linear map, unless its weights and data are quantised: their integers stay.
    """
    graph = _fold_constants(graph, {})
    return _drop_unused(fold_affine(_drop_unused(graph)))


def _fold_constants(graph: Graph, outer: dict[str, Array]) -> Graph:
    """Fold what is constant, in branches too, where `outer` are the constants around them."""
    constants, nodes = {**outer, **graph.constants}, list[Node]()
    renamed: dict[str, str] = {}
    results, uses = {value.name for value in graph.outputs}, count_uses(graph)
    for node in _inlined(graph.nodes, constants, renamed):
        if node.operator in _NO_OPERATION and not any(node.outputs[1:]):
            if node.outputs[0] not in results:
                renamed[node.outputs[0]] = node.inputs[0]
            elif not _takes_name(node, nodes, uses):
                nodes.append(node)
        elif (read := _reads(node)) and constants.keys() >= read:
            constants.update(_computed(node, constants, nodes))
        else:
            branches = {
                key: _drop_unused(_fold_constants(value, constants)) if isinstance(value, Graph) else value
                for key, value in node.attributes.items()
            }
            nodes.append(replace(node, attributes=branches))
    constants.update({name: constants[old] for name, old in renamed.items() if old in constants})
    own = {name: array for name, array in constants.items() if name not in outer}
    around = from_outside(graph)
    return Graph(nodes, graph.inputs, graph.outputs, own, graph.name, around, graph.shapes)


def _reads(node: Node) -> set[str]:
    return {name for name in node.inputs if name}.union(*map(from_outside, node.branches))


def _takes_name(node: Node, nodes: list[Node], uses: dict[str, int]) -> bool:
    """Let the node before a last identity give the result itself, if nobody else reads it."""
    (name,) = node.inputs[:1]
    if not nodes or name not in nodes[-1].outputs or uses.get(name) != 1:
        return False
    nodes[-1] = replace(nodes[-1], outputs=tuple(node.outputs[0] if o == name else o for o in nodes[-1].outputs))
    return True


def _computed(node: Node, constants: dict[str, Array], nodes: list[Node]) -> dict[str, Array]:
    """Return a node's outputs as constants; if they are large, take long, or are sequences, none, and keep the node."""
    wanted = [Value(name, shape=None) for name in node.outputs if name]
    alone = Graph([node], [], wanted, {name: constants[name] for name in _reads(node)})
    with steps_at_most(_FOLDED_STEPS) as left:
        try:
            results = evaluate(alone, {})
        except NetworkError:
            if left[0] >= 0:
                raise
            nodes.append(node)
            return {}
    if sum(array.size for array in results.values()) > _FOLDED_LIMIT or any(map(is_sequence, results.values())):
        nodes.append(node)
        return {}
    return results


def _inlined(nodes: tuple[Node, ...], constants: dict[str, Array], renamed: dict[str, str]) -> Any:
    """Yield nodes with their new inputs; of an If on a constant, the nodes of its branch instead."""
    for node in nodes:
        node = replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
        if renamed and node.branches:
            attributes = {
                key: _renamed(value, renamed) if isinstance(value, Graph) else value
                for key, value in node.attributes.items()
            }
            node = replace(node, attributes=attributes)
        if node.operator == CONDITIONAL and node.inputs[0] in constants:
            taken = bool(constants[node.inputs[0]].ravel()[0])
            branch = node.attributes["then_branch" if taken else "else_branch"]
            yield from _unfolded(branch, node, constants, renamed)
        else:
            yield node


def _unfolded(branch: Graph, node: Node, constants: dict[str, Array], renamed: dict[str, str]) -> Any:
    """Yield a branch's nodes in the place of its If, their tensors under names of their own."""
    own = {name for inner in branch.nodes for name in inner.outputs if name} | branch.constants.keys()
    names = {name: f"{node.outputs[0]}/{name}" for name in own}
    others: dict[str, str] = {}  # from outside, or given a second time
    for value, output in zip(branch.outputs, node.outputs, strict=True):
        if value.name in own:
            own.discard(value.name)
            names[value.name] = output
        else:
            others[output] = value.name
    constants.update({names[name]: array for name, array in branch.constants.items()})
    yield from _inlined(_renamed(branch, names).nodes, constants, renamed)
    for output, name in others.items():
        given = names.get(name, name)
        renamed[output] = renamed.get(given, given)


def _renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """Return a branch that calls tensors by other names, inside and out."""

    def new(name: str) -> str:
        return names.get(name, name)

    nodes = [
        Node(
            node.operator,
            tuple(map(new, node.inputs)),
            tuple(map(new, node.outputs)),
            {key: _renamed(v, names) if isinstance(v, Graph) else v for key, v in node.attributes.items()},
            node.name,
        )
        for node in graph.nodes
    ]
    outer = {new(name) for name in from_outside(graph)}
    outputs = [replace(value, name=new(value.name)) for value in graph.outputs]
    constants = {new(name): array for name, array in graph.constants.items()}
    shapes = {new(name): shape for name, shape in graph.shapes.items()}
    return Graph(nodes, graph.inputs, outputs, constants, graph.name, outer, shapes)


def _drop_unused(graph: Graph) -> Graph:
    wanted, kept = {value.name for value in graph.outputs}, []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            kept.append(node)
            wanted |= _reads(node)
    constants = {name: array for name, array in graph.constants.items() if name in wanted}
    return Graph(kept[::-1], graph.inputs, graph.outputs, constants, graph.name, from_outside(graph), graph.shapes)
