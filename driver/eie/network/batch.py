"""Graphs exported for one input at a time, opened to batches where that is the same."""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eie.errors import NetworkError
from eie.network.batch_layout import FixedNode, Layout, alike, find_layout
from eie.network.evaluation import check_inputs, compute_node, evaluate, walk_in_step
from eie.network.graph import Array, Graph, Node, Value
from eie.network.loops import steps_at_most

_TRIED = 3
_CHOICES = 16
"""Most choices of the inputs' axes that are tried."""
_SIZES = (32, 1024, 16384)
"""What is tried for sizes that are open, one after the other: pictures are small, and a sound is long."""
_STEPS = 1 << 16
"""Most steps that loops take on trial."""
_BATCH = "batch"
Shape = tuple[int | str | None, ...]


def open_batch(graph: Graph) -> Graph:
    """Return a graph that takes any batch, if its inputs fix a batch of 1 and nothing depends on that.

    Which of an input's axes of size 1 that is, and whether it is any, is tried: several random inputs together must
    give what each gives alone. Of an input with open sizes it is the first. Nodes that hold the batch's size in a
    constant, such as a Reshape to fixed sizes, are replaced by others that do not (`eie.network.batch_layout`); of
    several axes that will do, those are the batch's with which the fewest are.
    """
    if any(_BATCH in (value.shape or (_BATCH,)) for value in graph.inputs):
        return graph
    choices = list(itertools.islice(_choices(graph), _CHOICES))
    with steps_at_most(_STEPS):
        size = _size(graph) if choices else None
        return graph if size is None else _opened(graph, choices, size)


def _opened(graph: Graph, choices: Sequence[Mapping[str, int]], size: int) -> Graph:
    """Return the graph with the batch on the axes of a choice with which it stays most as it is."""
    given, best, fewest = set(map(id, graph.nodes)), graph, len(graph.nodes) + 1
    for axes in choices:
        try:
            opened = _Trial(graph, axes, size).opened()
        except NetworkError:
            continue
        if opened is None:
            continue
        replaced = len(given.difference(map(id, opened.nodes)))
        if replaced < fewest:
            best, fewest = opened, replaced
        if not replaced:
            break
    return best


def _choices(graph: Graph) -> Iterator[dict[str, int]]:
    """Yield an axis for each input, the first ones first; of one input alone the first one."""
    ones = [[i for i, size in enumerate(value.shape or ()) if size == 1] for value in graph.inputs]
    for i, value in enumerate(graph.inputs):
        if _is_open(value):
            ones[i] = [axis for axis in ones[i] if axis == 0]
    for axes in itertools.product(*(places[:1] if len(ones) == 1 else places for places in ones)):
        yield {value.name: axis for value, axis in zip(graph.inputs, axes, strict=True)}


def _is_open(value: Value) -> bool:
    return not all(isinstance(size, int) for size in value.shape or ())


def _size(graph: Graph) -> int | None:
    """Return what the sizes that a graph leaves open may be; None if it takes none of those that are tried."""
    if not any(map(_is_open, graph.inputs)):
        return 1
    for size in _SIZES:
        try:
            evaluate(graph, {value.name: np.zeros(_tried_shape(value, size), value.dtype) for value in graph.inputs})
        except NetworkError:
            continue
        return size
    return None


def _tried_shape(value: Value, size: int) -> list[int]:
    return [known if isinstance(known, int) else size for known in value.shape or ()]


@dataclass(frozen=True)
class _Taken:
    """Nodes in the place of one, what they add to the constants, and what comes of them."""

    nodes: Sequence[Node]
    constants: Mapping[str, Array]
    values: dict[str, Array]
    layouts: dict[str, Layout]


class _Trial:
    """Several random inputs of a graph, together and each alone, node by node.

    Parameters
    ----------
    graph : Graph
    axes : mapping of str to int
        The axis of each input that is the batch's.
    size : int
        What the sizes are that the graph leaves open.
    """

    def __init__(self, graph: Graph, axes: Mapping[str, int], size: int) -> None:
        self.graph, self.any_size = graph, any(map(_is_open, graph.inputs))
        rng = np.random.default_rng(0)
        self.values: dict[str, Array] = {}
        for value in graph.inputs:
            shape = _tried_shape(value, size)
            shape[axes[value.name]] = _TRIED
            self.values[value.name] = rng.standard_normal(shape).astype(value.dtype)
        parts = [{name: np.take(x, [i], axes[name]) for name, x in self.values.items()} for i in range(_TRIED)]
        self.alone = walk_in_step(graph, [check_inputs(graph, part) for part in parts])
        self.layouts = {name: Layout(axis) for name, axis in axes.items()}
        self.constants = dict(graph.constants)
        self.values |= graph.constants
        self.nodes: list[Node] = []

    def opened(self) -> Graph | None:
        """Return the graph that takes batches; None if the inputs do not give the same together."""
        alone, sizes = self._step(), dict[str, tuple[int, ...]]()
        for node in self.graph.nodes:
            sizes |= {name: alone[0][name].shape for name in node.inputs if name}
            alone = self._step()
            self._take(node, sizes, alone)
            for name in node.inputs:  # what nobody reads any more is let go
                if name not in alone[0]:
                    self.values.pop(name, None)
        for value in self.graph.outputs:
            layout, found = self.layouts.get(value.name), self.values[value.name]
            if layout is None or any(x[value.name].shape[layout.axis] != 1 for x in alone):
                return None
            if not all(alike(np.take(found, [i], layout.axis), x[value.name]) for i, x in enumerate(alone)):
                return None
        return Graph(
            self.nodes,
            map(self._with_batch, self.graph.inputs),
            map(self._with_batch, self.graph.outputs),
            self.constants,
            self.graph.name,
            shapes={name: self._shape(name, shape) for name, shape in self.graph.shapes.items()},
        )

    def _step(self) -> list[dict[str, Array]]:
        """Let each input alone go one node on."""
        return next(self.alone)[1]

    def _take(self, node: Node, shapes: Mapping[str, tuple[int, ...]], alone: Sequence[Mapping[str, Array]]) -> None:
        """Compute a node of all inputs together: as it is, or what serves in its place if it fixes the batch."""
        shape = alone[0][node.outputs[0]].shape
        taken: _Taken | None = None
        failed: NetworkError | None = None
        fixed = FixedNode(node, self.layouts, self.constants, shape, shapes, self.any_size)
        for nodes, constants in fixed.alternatives():
            try:
                tried = self._tried(nodes, constants, alone, sizes_tell=nodes[0] is node and node.operator != "Reshape")
            except NetworkError as error:
                failed = failed or error
                continue
            layout = tried.layouts.get(node.outputs[0])
            if taken is None or (layout is not None and node.outputs[0] not in taken.layouts):
                taken = tried
            if layout is not None and shape[layout.axis] == 1:
                taken = tried
                break
        if taken is None:
            raise failed or NetworkError(f"{node} takes no batch")
        self.nodes += taken.nodes
        self.constants |= taken.constants
        self.values |= taken.values
        self.layouts |= taken.layouts

    def _tried(
        self,
        nodes: Sequence[Node],
        constants: Mapping[str, Array],
        alone: Sequence[Mapping[str, Array]],
        sizes_tell: bool,
    ) -> _Taken:
        """Compute nodes of all inputs together, and see where these lie in what they give."""
        found = _Taken(nodes, constants, dict(constants), {})
        for node in nodes:
            results = compute_node(node, ChainMap(found.values, self.values))
            for name, result in zip(node.outputs, results):  # noqa: B905 - the last may be left out
                found.values[name] = result
                parts = [each[name] for each in alone if name in each]
                layout = find_layout(parts, result, sizes_tell) if parts else None
                if layout is not None:
                    found.layouts[name] = layout
        return found

    def _with_batch(self, value: Value) -> Value:
        return value if value.shape is None else replace(value, shape=self._shape(value.name, value.shape))

    def _shape(self, name: str, shape: Shape) -> Shape:
        """Return what is known of a tensor's shape when there is a batch."""
        layout = self.layouts.get(name)
        if layout is None:
            return shape
        size = _BATCH if shape[layout.axis] == 1 else None
        return (*shape[: layout.axis], size, *shape[layout.axis + 1 :])
