"""Graphs exported for one input at a time, opened to batches where that is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph

_TRIED = 3


def open_batch(graph: Graph) -> Graph:
    """Return a graph that takes any batch, if its one input fixes a batch of 1 and nothing depends on that.

    Whether it does is tried: several random inputs together must give what each gives alone.
    """
    if len(graph.inputs) != 1:
        return graph
    (value,) = graph.inputs
    shape = value.shape
    if not shape or shape[0] != 1 or not all(isinstance(size, int) for size in shape):
        return graph
    opened = Graph(
        graph.nodes,
        [replace(value, shape=("batch", *shape[1:]))],
        [replace(v, shape=None if v.shape is None else ("batch", *v.shape[1:])) for v in graph.outputs],
        graph.constants,
        graph.name,
        shapes={name: ("batch", *s[1:]) for name, s in graph.shapes.items() if s and s[0] == 1},
    )
    sizes = [size for size in shape[1:] if isinstance(size, int)]
    x = np.random.default_rng(0).standard_normal((_TRIED, *sizes)).astype(value.dtype)
    try:
        together = evaluate(opened, {value.name: x})
        for i in range(_TRIED):
            alone = evaluate(graph, {value.name: x[i : i + 1]})
            if not all(_is_part(alone[name], got, i) for name, got in together.items()):
                return graph
    except NetworkError:
        return graph
    return opened


def _is_part(alone: Array, together: Array, i: int) -> bool:
    """Say whether what an input gives alone is its part of what several give."""
    if alone.ndim == 0 or alone.shape[0] != 1 or together.shape != (_TRIED, *alone.shape[1:]):
        return False
    return np.allclose(together[i], alone[0], rtol=1e-4, atol=1e-5, equal_nan=True)
