"""Loops: graphs that run again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.graph import Array, Graph, Node, Value, from_outside
from eie.network.operators.table import axis_of, check_elements

STEPS_LIMIT = 1 << 20
"""Most steps of a loop and those within it: one whose condition never fails would not end."""
_LEFT: ContextVar[list[int] | None] = ContextVar("steps that loops may still take", default=None)

RunGraph = Callable[[Graph, Mapping[str, Array]], "list[Array]"]
"""Computes a graph of values by name, those of its surroundings among them."""
_Run = Callable[[Graph, Sequence[Any]], "list[Array]"]
"""Computes a graph of its inputs."""
_Given = Sequence[Any]
"""The inputs of a node: an array, or None where none is given."""


@contextmanager
def steps_at_most(limit: int) -> Iterator[list[int]]:
    """Let all loops within take so many steps together; yield how many are left, below 0 if they wanted more."""
    left = [limit]
    token = _LEFT.set(left)
    try:
        yield left
    finally:
        _LEFT.reset(token)


def run_loop(node: Node, values: Mapping[str, Array], run_graph: RunGraph) -> list[Array]:
    """Compute a loop.

    Parameters
    ----------
    node : Node
        Its operator is one of `eie.network.graph.LOOPS`.
    values : mapping of str to ndarray
        What lies around it.
    run_graph : callable
        See `RunGraph`.

    Raises
    ------
    NetworkError
        If a loop takes too many steps, or the inputs of a scan differ in length.
    """
    left = _LEFT.get()
    if left is None:
        with steps_at_most(STEPS_LIMIT):
            return run_loop(node, values, run_graph)
    outside = set().union(*map(from_outside, node.branches))
    around = {name: values[name] for name in outside}

    def run(graph: Graph, inputs: Sequence[Any]) -> list[Array]:
        left[0] -= 1
        if left[0] < 0:
            raise NetworkError(f"it goes on after as many steps as all loops may take together, {STEPS_LIMIT} at most")
        names = (value.name for value in graph.inputs)
        return run_graph(graph, {**around, **dict(zip(names, inputs, strict=True))})

    return _LOOPS[node.operator]([values[name] if name else None for name in node.inputs], node.attributes, run)


def is_true(condition: Array) -> bool:
    """Return what a condition says, a scalar or the one element of a tensor."""
    return bool(condition.ravel()[0])


def _loop(inputs: _Given, attributes: Mapping[str, Any], run: _Run) -> list[Array]:
    body = attributes["body"]
    most, condition, *carried = [*inputs, None, None][: max(2, len(inputs))]
    steps = count() if most is None else range(int(most.ravel()[0]))
    going = np.array(True) if condition is None else condition
    collected = _Collected(body.outputs[1 + len(carried) :])
    for step in steps:
        if not is_true(going):
            break
        going, *results = run(body, [np.array(step), going, *carried])
        carried = results[: len(carried)]
        collected.add(results[len(carried) :])
    return [*carried, *collected.stacked()]


def _scan(inputs: _Given, attributes: Mapping[str, Any], run: _Run) -> list[Array]:
    if attributes.get("batched"):
        return _batched_scan(inputs, attributes, run)
    body, count = attributes["body"], attributes["num_scan_inputs"]
    states, scanned = list(inputs[: len(inputs) - count]), inputs[len(inputs) - count :]
    outputs = body.outputs[len(states) :]
    parts = []
    for x, axis, backwards in zip(scanned, *_directions(attributes, "input", count), strict=True):
        along = np.moveaxis(x, axis_of(axis, x.ndim), 0)
        parts.append(along[::-1] if backwards else along)
    lengths = {len(part) for part in parts}
    if len(lengths) != 1:
        raise NetworkError(f"its scanned inputs have the lengths {sorted(lengths)}; one length is wanted")
    collected = _Collected(outputs)
    for step in zip(*parts, strict=True):
        results = run(body, [*states, *step])
        states = results[: len(states)]
        collected.add(results[len(states) :])
    found = []
    for y, axis, backwards in zip(collected.stacked(), *_directions(attributes, "output", len(outputs)), strict=True):
        found.append(np.moveaxis(y[::-1] if backwards else y, 0, axis_of(axis, y.ndim)))
    return [*states, *found]


def _directions(attributes: Mapping[str, Any], what: str, count: int) -> tuple[list[int], list[int]]:
    """Return the axes of inputs or outputs, and which run backwards."""
    axes, backwards = (attributes.get(f"scan_{what}_{name}") or [0] * count for name in ("axes", "directions"))
    return axes, backwards


def _batched_scan(inputs: _Given, attributes: Mapping[str, Any], run: _Run) -> list[Array]:
    """Compute the scan of operator set 8: of each of a batch alone, as long as it is, with zeros behind."""
    lengths, *given = inputs
    count = attributes["num_scan_inputs"]
    whole = given[-1].shape[1]
    each = []
    for i in range(len(given[-1])):
        length = whole if lengths is None else int(lengths[i])
        states, scanned = ([x[i] for x in part] for part in (given[:-count], given[-count:]))
        found = _scan([*states, *(x[:length] for x in scanned)], {**attributes, "batched": 0}, run)
        pads = [(0, whole - length)]
        padded = (np.pad(y, pads + [(0, 0)] * (y.ndim - 1)) for y in found[len(states) :])
        each.append([*found[: len(states)], *padded])
    return [np.stack(parts) for parts in zip(*each, strict=True)]


class _Collected:
    """What the steps of a loop give, a tensor each.

    Parameters
    ----------
    outputs : sequence of Value
        What is known of them: of a loop without steps their types and sizes.
    """

    def __init__(self, outputs: Sequence[Value]) -> None:
        self.outputs = outputs
        self.parts: list[list[Array]] = [[] for _ in outputs]

    def add(self, results: Sequence[Array]) -> None:
        for parts, result in zip(self.parts, results, strict=True):
            parts.append(result)
            check_elements((len(parts), *result.shape))

    def stacked(self) -> list[Array]:
        found = []
        for value, parts in zip(self.outputs, self.parts, strict=True):
            if parts:
                found.append(np.stack(parts))
            else:
                sizes = (size if isinstance(size, int) else 0 for size in value.shape or ())
                found.append(np.zeros((0, *sizes), value.dtype))
        return found


_LOOPS: dict[str, Callable[[_Given, Mapping[str, Any], _Run], list[Array]]] = {
    "Loop": _loop,
    "Scan": _scan,
}
