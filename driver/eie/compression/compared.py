"""What of a network's outputs, given and compressed, is compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from eie.compression.report import sqnr_db
from eie.network.graph import Array, Graph, Value

_SIZED_BY_VALUES = ("Compress", "NonMaxSuppression", "NonZero", "Unique")
"""Operators whose results have a size that follows from the values of their inputs."""


def comparable(graph: Graph) -> Graph:
    """Return a graph with what it computes before it chooses, in the place of outputs of a size that depends on that.

    A detector gives as many boxes as have a score above some limit: a small error makes it one more, and nothing of
    the outputs says how small it was. The boxes and scores that it chooses from do.
    """
    chosen: set[str] = set()
    before: dict[str, None] = {}
    for node in graph.nodes:
        inputs = [name for name in node.inputs if name]
        if node.operator in _SIZED_BY_VALUES or chosen.intersection(inputs):
            before.update(dict.fromkeys(name for name in inputs if name not in chosen))
            chosen.update(node.outputs)
    if not chosen.intersection(value.name for value in graph.outputs):
        return graph
    known = {value.name for value in graph.inputs} | set(graph.constants)
    outputs = [value for value in graph.outputs if value.name not in chosen]
    names = {value.name for value in outputs}
    outputs += [Value(name) for name in before if name not in known | names]
    return Graph(graph.nodes, graph.inputs, outputs, graph.constants, graph.name) if outputs else graph


def pairs(
    given: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]
) -> Iterator[tuple[str, Array, Array]]:
    """Yield floats of given and of other outputs by name, those of all samples in which they have one shape."""
    for name in given[0]:
        alike = [(a[name], b[name]) for a, b in zip(given, found, strict=True) if _are_alike(a.get(name), b.get(name))]
        if alike:
            wanted, got = (np.concatenate([x.ravel() for x in each]) for each in zip(*alike, strict=True))
            yield name, wanted, got


def outputs_sqnr_db(given: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]) -> float | None:
    """Return the least SQNR of all outputs that can be compared; None if there is none."""
    ratios = [sqnr_db(wanted, got) for _, wanted, got in pairs(given, found) if wanted.size]
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def _are_alike(given: Array | None, found: Array | None) -> bool:
    if given is None or found is None or given.dtype.kind != "f":
        return False
    return given.shape == found.shape
