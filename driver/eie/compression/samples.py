"""Calibration of a graph as samples, each what the graph takes at once.

Where a graph leaves the size of its batch open, all inputs are one sample. Else each is one by itself, and every node
is computed for all of them before the next one (`eie.network.evaluation.evaluate_in_step`), so that a layer is chosen
on what all inputs make of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError
from eie.network.evaluation import check_inputs
from eie.network.graph import Array, Graph, Value
from eie.network.graph_model import named_inputs

SYNTHETIC_SAMPLES = 64
"""Random inputs where none are given."""
Sample = dict[str, Array]


def calibration_samples(graph: Graph, calibration: Any) -> list[Sample]:
    """Return what a graph is calibrated on: the inputs given, in its own shapes or several of them, or random ones.

    Raises
    ------
    NetworkError
        If the inputs do not fit, or none are given where they are needed.
    """
    if calibration is None:
        return [random_inputs(graph)]
    return in_samples(graph, named_inputs(graph, calibration))


def in_samples(graph: Graph, given: Mapping[str, Array]) -> list[Sample]:
    """Return inputs as they are if a graph takes them so; else those that are several, one behind the other, apart.

    Raises
    ------
    NetworkError
        If they do not fit.
    """
    try:
        return [check_inputs(graph, given)]
    except NetworkError as error:
        values = {value.name: value for value in graph.inputs}
        if set(given) != set(values):
            raise
        parts = {name: _parts(values[name], array) for name, array in given.items()}
        counts = {len(part) for part in parts.values() if len(part) != 1}
        if len(counts) != 1 or counts == {0}:
            raise
        (count,) = counts
        samples = [{name: part[i % len(part)] for name, part in parts.items()} for i in range(count)]
        try:
            return [check_inputs(graph, sample) for sample in samples]
        except NetworkError:
            raise error from None


def _parts(value: Value, array: Array) -> Sequence[Array]:
    """Return the inputs that an array holds: behind a further axis, or several along the first."""
    shape = value.shape
    if shape is not None and array.ndim == len(shape) + 1:
        return list(array)
    first = shape[0] if shape and array.ndim == len(shape) else None
    if not isinstance(first, int) or not first or not len(array) or len(array) % first:
        return [array]
    return np.split(array, len(array) // first)


def random_inputs(graph: Graph, samples: int = SYNTHETIC_SAMPLES) -> Sample:
    """Return standard normal values of a graph's shapes.

    Raises
    ------
    NetworkError
        If the graph leaves more than its batch open, or takes other than floats.
    """
    random = frozen_random(0)
    found: Sample = {}
    for value in graph.inputs:
        unknown = {size for size in value.shape or () if not isinstance(size, int)}
        if value.shape is None or len(unknown) > 1 or np.dtype(value.dtype).kind != "f":
            raise NetworkError(f"input {value} leaves open what typical inputs are; give calibration inputs")
        shape = [size if isinstance(size, int) else samples for size in value.shape]
        found[value.name] = random.standard_normal(shape).astype(value.dtype)
    return found
