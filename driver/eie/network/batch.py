"""Graphs exported for one input at a time, opened to batches where that is the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Value

_TRIED = 3
_CHOICES = 16
"""Most choices of the inputs' axes that are tried."""
_BATCH = "batch"


def open_batch(graph: Graph) -> Graph:
    """Return a graph that takes any batch, if its inputs fix a batch of 1 and nothing depends on that.

    Which of an input's axes of size 1 that is, and whether it is any, is tried: several random inputs together must
    give what each gives alone.
    """
    if not all(value.shape and all(isinstance(size, int) for size in value.shape) for value in graph.inputs):
        return graph
    for axes in itertools.islice(_choices(graph), _CHOICES):
        opened = _opened(graph, axes)
        if opened is not None:
            return opened
    return graph


def _choices(graph: Graph) -> Iterator[dict[str, int]]:
    """Yield an axis for each input, the first ones first."""
    ones = [[i for i, size in enumerate(value.shape or ()) if size == 1] for value in graph.inputs]
    for axes in itertools.product(*ones):
        if len(graph.inputs) > 1 or axes == (0,):
            yield {value.name: axis for value, axis in zip(graph.inputs, axes, strict=True)}


def _opened(graph: Graph, axes: Mapping[str, int]) -> Graph | None:
    """Return a graph whose inputs have these batch axes, or None if it computes something else."""
    several = Graph(
        graph.nodes,
        [_with_batch(value, axes[value.name]) for value in graph.inputs],
        [replace(value, shape=None) for value in graph.outputs],
        graph.constants,
        graph.name,
        shapes=_shapes(graph, len(axes) == 1),
    )
    rng = np.random.default_rng(0)
    x = {}
    for value in graph.inputs:
        shape = [_TRIED if i == axes[value.name] else size for i, size in enumerate(value.shape or ())]
        x[value.name] = rng.standard_normal([int(size or 1) for size in shape]).astype(value.dtype)
    batch_axes: dict[str, int] = {}
    try:
        together = evaluate(several, x)
        for i in range(_TRIED):
            part = {name: np.take(array, [i], axes[name]) for name, array in x.items()}
            for name, alone in evaluate(graph, part).items():
                at = _batch_axis(alone, together[name])
                elsewhere = len(axes) == 1 and at != 0  # what takes one input by its first axis gives by the first
                if at is None or elsewhere or not _is_part(alone, together[name], i, at):
                    return None
                batch_axes[name] = at
    except NetworkError:
        return None
    outputs = [_with_batch(value, batch_axes[value.name]) for value in graph.outputs]
    return Graph(several.nodes, several.inputs, outputs, several.constants, several.name, shapes=several.shapes)


def _with_batch(value: Value, axis: int) -> Value:
    if value.shape is None:
        return value
    return replace(value, shape=(*value.shape[:axis], _BATCH, *value.shape[axis + 1 :]))


def _shapes(graph: Graph, first: bool) -> dict[str, tuple[int | str | None, ...]]:
    """Return what is left of the tensors' shapes: any size of 1 may be the batch; if it lies `first`, that one."""
    if first:
        return {name: (_BATCH, *shape[1:]) for name, shape in graph.shapes.items() if shape and shape[0] == 1}
    return {name: tuple(None if size == 1 else size for size in shape) for name, shape in graph.shapes.items()}


def _batch_axis(alone: Array, together: Array) -> int | None:
    """Return the one axis along which several are longer, or None."""
    axes = [i for i, sizes in enumerate(zip(alone.shape, together.shape)) if sizes == (1, _TRIED)]  # noqa: B905
    return axes[0] if len(axes) == 1 and alone.ndim == together.ndim else None


def _is_part(alone: Array, together: Array, i: int, axis: int) -> bool:
    """Say whether what an input gives alone is its part of what several give."""
    part = np.take(together, [i], axis)
    return part.shape == alone.shape and np.allclose(part, alone, rtol=1e-4, atol=1e-5, equal_nan=True)
