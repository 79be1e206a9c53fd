"""Which states of recurrent layers a network leaves to begin anew with every call."""

from __future__ import annotations

from eie.errors import NetworkError
from eie.network.graph import ABSENT, CONDITIONAL, CONTROL, Graph, Node
from eie.network.operators.recurrent import INITIAL_STATES, RECURRENT

_SHAPES_ONLY = ("Shape", "Size")


def unfed_states(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the initial states that no input of the graph determines, by their node's first output.

    Such a state is absent, constant, or made of shapes, as exporters make zeros for any batch.

    Returns
    -------
    dict of str to tuple of int
        Numbers of the inputs; see `eie.network.operators.recurrent.INITIAL_STATES`.

    Raises
    ------
    NetworkError
        If a layer runs backwards: it needs the end of a sequence first.
    """
    return _unfed(graph, {value.name for value in graph.inputs})


def _unfed(graph: Graph, fed: set[str]) -> dict[str, tuple[int, ...]]:
    fed, found = set(fed), dict[str, tuple[int, ...]]()
    for node in graph.nodes:
        for branch in node.branches if node.operator == CONDITIONAL else ():  # a loop begins anew with each step
            found.update(_unfed(branch, fed))
        if node.operator in RECURRENT:
            found.update(_of_node(node, fed))
        reads = set(node.inputs).union(*(branch.reads() for branch in node.branches))
        if node.operator in CONTROL or (node.operator not in _SHAPES_ONLY and reads & fed):
            fed.update(node.outputs)
    return found


def _of_node(node: Node, fed: set[str]) -> dict[str, tuple[int, ...]]:
    inputs = [*node.inputs, *[ABSENT] * max(INITIAL_STATES)]
    places = tuple(
        place
        for place in INITIAL_STATES
        if inputs[place] not in fed and (INITIAL_STATES[place] == 1 or node.operator == "LSTM")
    )
    if places and node.attributes["direction"] != "forward":
        raise NetworkError(f"{node} runs backwards: it needs the whole sequence, not one piece after another")
    return {node.outputs[0]: places} if places else {}
