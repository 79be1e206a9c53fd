"""Calibration of a network that is fed piece by piece: the states that its own floats give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import require_type
from eie.compression.samples import Sample, in_samples
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
        The other inputs, as the graph takes them behind a first axis of time: shape (T, ...). Several sequences are a
        batch, or run one by one where states have a fixed size; see `eie.compression.samples`.
    states : mapping of str to str
        Inputs that take, from the second piece on, what an output gave for the one before; zeros at first.

    Attributes
    ----------
    samples : list of dict of str to ndarray
        The inputs of all pieces, with the states that the graph gives: one behind the other as a batch, or apart; of
        each piece those of all sequences.
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
        self.states, self.pieces = dict(states), lengths.pop()[0]
        self.axes = None if all(_is_fixed(values[name]) for name in states) else _batch_axes(values)
        self._given = [given] if self.axes else _apart(Graph((), others, others[:1]), given)
        self.batch = given[others[0].name].shape[1:][self.axes[others[0].name]] if self.axes else len(self._given)
        first = {name: _zeros(values[name], self.batch) for name in states}
        self._first = [first] * len(self._given)
        self.samples: list[Sample] = []
        each = [part.run(partial(evaluate, graph))[0] for part in self.parts]
        if self.axes:
            (pieces,) = each
            joined = {name: np.concatenate([x[name] for x in pieces], axis) for name, axis in self.axes.items()}
            self.samples = [joined]
        else:
            self.samples = [sample for pieces in zip(*each, strict=True) for sample in pieces]

    @property
    def parts(self) -> list[Stream]:
        """What is run at once: all sequences as a batch, or each by itself."""
        return [self] if self.axes else [self.some(np.array([i])) for i in range(self.batch)]

    def some(self, chosen: NDArray[np.intp]) -> Stream:
        """Return the stream of some of the sequences."""
        part = copy(self)
        part.batch = len(chosen)
        of_pieces = (np.arange(self.pieces)[:, None] * self.batch + chosen).ravel()
        if self.axes:
            part._given = [_taken(self._given[0], chosen, self.axes, 1)]
            part._first = [_taken(self._first[0], chosen, self.axes)]
            part.samples = [_taken(sample, of_pieces, self.axes) for sample in self.samples]
        else:
            part._given, part._first = ([runs[i] for i in chosen] for runs in (self._given, self._first))
            part.samples = [self.samples[i] for i in of_pieces] if self.samples else []
        return part

    def outputs(self, compute: Callable[[dict[str, Array]], dict[str, Array]]) -> dict[str, Array]:
        """Run the sequences through anything that computes pieces; return its outputs but the states.

        Those of one size have the shapes (T, ...), with an axis of the sequences behind that of time if they run one
        by one.
        """
        each = [part.run(compute)[1] for part in self.parts]
        first = each[0][0]
        names = [name for name in first if name not in self.states.values()] or list(first)
        names = [name for name in names if len({outputs[name].shape for run in each for outputs in run}) == 1]
        found = {name: [np.stack([outputs[name] for outputs in run]) for run in each] for name in names}
        return {name: runs[0] if self.axes else np.stack(runs, axis=1) for name, runs in found.items()}

    def run(
        self, compute: Callable[[dict[str, Array]], dict[str, Array]]
    ) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
        """Return inputs and outputs of every piece of what is run at once."""
        ((given,), (kept,)), pieces, found = (self._given, self._first), [], []
        for time in range(self.pieces):
            pieces.append({**{name: array[time] for name, array in given.items()}, **kept})
            found.append(compute(pieces[-1]))
            kept = {name: found[-1][output] for name, output in self.states.items()}
        return pieces, found


def _is_fixed(value: Value) -> bool:
    return value.shape is not None and all(isinstance(size, int) for size in value.shape)


def _apart(others: Graph, given: Mapping[str, Array]) -> list[Sample]:
    """Return sequences that run one by one, each shape (T, ...)."""
    length = len(next(iter(given.values())))
    times = [in_samples(others, {name: array[time] for name, array in given.items()}) for time in range(length)]
    return [{name: np.stack([x[name] for x in run]) for name in given} for run in zip(*times, strict=True)]


def _taken(arrays: Mapping[str, Array], chosen: NDArray[np.intp], axes: Mapping[str, int], behind: int = 0) -> Sample:
    return {name: np.take(array, chosen, axes[name] + behind) for name, array in arrays.items()}


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
