"""Calibration of a network that is fed piece by piece: the states that its own floats give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.errors import NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Value
from eie.network.graph_model import named_inputs


class Stream:
    """Sequences that a network is fed piece by piece, for calibration of a graph: with the states that it has there.

    A network meets in use the states that it has itself, from a beginning on; what is fitted to others errs where an
    error stays longest. Several sequences tell more than a long one, for the beginnings.

    Parameters
    ----------
    graph : Graph
    calibration : dict of str to array_like, or array_like
        The other inputs, as the graph takes them behind a first axis of time: shape (T, ...).
    states : mapping of str to str
        Inputs that take, from the second piece on, what an output gave for the one before; zeros at first.

    Attributes
    ----------
    inputs : dict of str to ndarray
        Those of all pieces, with the states that the graph gives, one behind the other as a batch.
    pieces : int
    batch : int
        Sequences.

    Raises
    ------
    NetworkError
        If there is no calibration, a name is not known, the sequences differ in length, or which axis of an
        input is the batch's is not to be told.
    """

    def __init__(self, graph: Graph, calibration: Any, states: Mapping[str, str]) -> None:
        require_type(states, Mapping, "states", "a dict of inputs and outputs by name", NetworkError)
        values = {value.name: value for value in graph.inputs}
        for names, known in ((states, values), (states.values(), [value.name for value in graph.outputs])):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise NetworkError(f"there is no state {unknown[0]!r}; the network has {', '.join(known)}")
        others = [value for value in graph.inputs if value.name not in states]
        if calibration is None or not others:
            raise NetworkError("states are found by running sequences: give calibration, shape (T, ...) for each input")
        given = named_inputs(Graph((), others, others[:1]), calibration)
        if set(given) != {value.name for value in others}:
            raise NetworkError(
                f"calibration is of {', '.join(given)}; with states, {', '.join(map(str, others))} are wanted"
            )
        lengths = {np.shape(array)[:1] for array in given.values()}
        if len(lengths) != 1 or lengths & {(), (0,)}:
            raise NetworkError(f"the calibration's sequences have the lengths {sorted(lengths)}; they must be one")
        self.axes = axes = _batch_axes(values)
        self.batch = given[others[0].name].shape[1:][axes[others[0].name]]
        self._given, self.states = given, dict(states)
        self._first = {name: _zeros(values[name], self.batch) for name in states}
        pieces, _ = self.run(partial(evaluate, graph))
        self.pieces = len(pieces)
        self.inputs = {name: np.concatenate([piece[name] for piece in pieces], axis=axes[name]) for name in values}

    def some(self, chosen: NDArray[np.intp]) -> Stream:
        """Return the stream of some of the sequences."""
        part = copy(self)
        part.batch = len(chosen)
        part._given = {name: np.take(array, chosen, self.axes[name] + 1) for name, array in self._given.items()}
        part._first = {name: np.take(array, chosen, self.axes[name]) for name, array in self._first.items()}
        of_pieces = (np.arange(self.pieces)[:, None] * self.batch + chosen).ravel()
        part.inputs = {name: np.take(array, of_pieces, self.axes[name]) for name, array in self.inputs.items()}
        return part

    def outputs(self, compute: Callable[[dict[str, Array]], dict[str, Array]]) -> dict[str, Array]:
        """Run the sequences through anything that computes pieces; return its outputs but the states, (T, ...)."""
        _, found = self.run(compute)
        names = [name for name in found[0] if name not in self.states.values()] or list(found[0])
        return {name: np.stack([outputs[name] for outputs in found]) for name in names}

    def run(
        self, compute: Callable[[dict[str, Array]], dict[str, Array]]
    ) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
        """Return inputs and outputs of every piece."""
        kept, pieces, found = self._first, [], []
        for time in range(len(next(iter(self._given.values())))):
            pieces.append({**{name: array[time] for name, array in self._given.items()}, **kept})
            found.append(compute(pieces[-1]))
            kept = {name: found[-1][output] for name, output in self.states.items()}
        return pieces, found


def _batch_axes(values: Mapping[str, Value]) -> dict[str, int]:
    """Return of each input the axis of open size: the only one, or the one whose name all inputs have."""
    opened = {
        name: {i: size for i, size in enumerate(value.shape or ()) if not isinstance(size, int)}
        for name, value in values.items()
    }
    common = set.intersection(*(set(sizes.values()) for sizes in opened.values())) - {None}
    found = {}
    for name, sizes in opened.items():
        axes = [i for i, size in sizes.items() if len(sizes) == 1 or size in common]
        if len(axes) != 1:
            wanted = "one axis of open size that is the batch's, for a calibration with states"
            raise NetworkError(f"input {values[name]} must have {wanted}")
        found[name] = axes[0]
    return found


def _zeros(value: Value, batch: int) -> Array:
    shape = [size if isinstance(size, int) else batch for size in value.shape or ()]
    return np.zeros(shape, value.dtype)
