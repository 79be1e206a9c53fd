"""Weights while they learn to keep outputs where the given ones have them; those of a recurrent layer, through time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.adam import Adam, schedule
from eie.compression.through_time import Floats, Unrolled
from eie.data.frozen_random import frozen_random
from eie.network.cells import Cell
from eie.network.operators.linear import Matrix

BATCH = 32
"""Most sequences that a step sees."""
_STAGES = 6
_PRUNING = 0.6
"""Share of the steps in which weights are removed; in the rest, those that stay settle."""
PROBES = 8
"""Random vectors that a saliency comes from."""
_RATE = 0.012
"""Adam's, at its peak, in units of the root mean square of what a weight adds to a sum."""
_FLOOR = 0.05
"""Least size of an input in these, in units of the largest: weights of what hardly ever moves must not run away."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """What a recurrent layer gets and what it should make of it.

    Parameters
    ----------
    x : ndarray, shape (N, T, C), float32
        As the gates take them.
    states : ndarray, shape (N, states, H), float32
        To begin with.
    wanted : ndarray, shape (N, T, H), float32
        The outputs of the given layer on the inputs that it has in the given network.
    """

    x: Floats
    states: Floats
    wanted: Floats

    def some(self, chosen: NDArray[np.intp]) -> Sequences:
        return Sequences(self.x[chosen], self.states[chosen], self.wanted[chosen])

    def __len__(self) -> int:
        return len(self.x)


def biases_of(gates: Sequence[Matrix]) -> list[Floats]:
    """Return the biases of gates, also of those that have none."""
    return [
        np.zeros(len(gate.weight), np.float32) if gate.bias is None else np.array(gate.bias, np.float32)
        for gate in gates
    ]


class Learner(ABC):
    """Weights and biases of matrices while they learn.

    Parameters
    ----------
    weights, biases : list of ndarray
        They are copied.
    sizes : list of ndarray, shape (C,)
        Of every matrix the root mean square of the inputs of its weights.
    samples : int
        What there is to learn from.
    batch : int
        How many of them a step sees at most.
    """

    def __init__(
        self, weights: Sequence[Floats], biases: Sequence[Floats], sizes: list[Floats], samples: int, batch: int
    ) -> None:
        self.weights, self.biases = [np.array(w) for w in weights], [np.array(b) for b in biases]
        self.masks = [weight != 0 for weight in self.weights]
        self._sizes, self._samples = sizes, samples
        self.random, self._size = frozen_random(0), min(batch, samples)
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self.pace = 1.0
        """Share of its peak rate that the next step has."""

    @abstractmethod
    def gradients(self, weights: list[Floats]) -> tuple[list[Floats], list[Floats]]:
        """Return gradients of other weights and the biases: of some samples' squared error, over its power."""

    @abstractmethod
    def saliency(self) -> list[Floats]:
        """Return by how much a change of each weight moves the outputs: the diagonal of J^T J, from random vectors."""

    def prune(self, counts: list[int], free: bool, steps: int) -> None:
        """Remove weights stage by stage, those first that move the states least, while the others learn."""
        sizes = [int(np.count_nonzero(mask)) for mask in self.masks]
        if not steps or sum(counts) >= sum(sizes):
            return
        stages = [int(_PRUNING * steps * i / _STAGES) for i in range(_STAGES)]
        adam = Adam([*self.weights, *self.biases], self.rates(_RATE))
        for step in range(steps):
            if step in stages:
                share = (stages.index(step) + 1) / _STAGES
                self._keep([round(size ** (1 - share) * n**share) for n, size in zip(counts, sizes, strict=True)], free)
            self.pace = schedule(step, steps)
            weights, biases = self.gradients(self.weights)
            adam.step([*self.masked(weights), *biases], self.pace)
            self.weights = self.masked(self.weights)
            adam.parameters[: len(self.weights)] = self.weights

    def _keep(self, counts: list[int], free: bool) -> None:
        costs = [w * w * s for w, s in zip(self.weights, self.saliency(), strict=True)]
        groups = [range(len(costs))] if free else [range(i, i + 1) for i in range(len(costs))]
        for group in groups:
            flat = np.concatenate([np.where(self.masks[i], costs[i], -1).ravel() for i in group])
            chosen = np.zeros(len(flat), bool)
            count = min(sum(counts[i] for i in group), sum(int(np.count_nonzero(self.masks[i])) for i in group))
            chosen[np.argpartition(-flat, count - 1)[:count] if count else []] = True
            ends = np.cumsum([costs[i].size for i in group])[:-1]
            for i, part in zip(group, np.split(chosen, ends), strict=True):
                self.masks[i] = part.reshape(costs[i].shape)
        self.weights = self.masked(self.weights)

    def batch(self) -> NDArray[np.intp]:
        """Return which samples the next step sees."""
        if len(self._order) < self._size:
            self._order = np.concatenate([self._order, self.random.permutation(self._samples)])
        chosen, self._order = np.split(self._order, [self._size])
        return np.sort(chosen)

    def masked(self, arrays: list[Floats]) -> list[Floats]:
        return [array * mask for array, mask in zip(arrays, self.masks, strict=True)]

    def rates(self, rate: float) -> list[Floats]:
        """Return the step of every weight, and of every bias."""
        of_weights, of_biases = [], []
        for weight, mask, size in zip(self.weights, self.masks, self._sizes, strict=True):
            added = (weight * size)[mask]
            unit = float(np.sqrt(np.mean(np.square(added, dtype=np.float64)))) if added.size else 0.0
            floor = max(float(size.max(initial=0)) * _FLOOR, 1e-12)
            of_weights.append((rate * unit / np.maximum(size, floor)).astype(weight.dtype))
            of_biases.append(np.full(len(weight), rate * unit, weight.dtype))
        return [*of_weights, *of_biases]


class CellLearner(Learner):
    """The weights of a cell while they learn."""

    def __init__(self, cell: Cell, sequences: Sequences, given: Sequence[Matrix], batch: int = BATCH) -> None:
        dtype = sequences.x.dtype
        self.cell, self.sequences = cell, sequences
        self.power = float(np.mean(np.square(sequences.wanted, dtype=np.float64))) or 1.0
        weights = [np.array(matrix.weight, dtype) for matrix in given]
        biases = [bias.astype(dtype) for bias in biases_of(given)]
        sizes = _sizes(Unrolled(cell, weights, biases), sequences)
        super().__init__(weights, biases, sizes, len(sequences), batch)

    def unrolled(self) -> Unrolled:
        """Return the layer as it is by now."""
        return Unrolled(self.cell, self.weights, self.biases)

    def saliency(self) -> list[Floats]:
        found = [np.zeros_like(weight) for weight in self.weights]
        unrolled = self.unrolled()
        for _ in range(PROBES):
            part = self.sequences.some(self.batch())
            states = unrolled.forward(part.x, part.states)
            probe = np.zeros_like(states)
            probe[:, :, 0] = self.random.standard_normal(part.wanted.shape)
            for total, gradient in zip(found, unrolled.backward(probe)[0], strict=True):
                total += gradient * gradient
        return found

    def gradients(self, weights: list[Floats]) -> tuple[list[Floats], list[Floats]]:
        part = self.sequences.some(self.batch())
        unrolled = Unrolled(self.cell, weights, self.biases)
        states = unrolled.forward(part.x, part.states)
        moved = np.zeros_like(states)
        moved[:, :, 0] = (states[:, :, 0] - part.wanted) * (2 / (self.power * part.wanted.size))
        return unrolled.backward(moved)


def _sizes(unrolled: Unrolled, sequences: Sequences) -> list[Floats]:
    """Return of every gate the root mean square of the inputs of its weights, shape (C,)."""
    totals, count = None, 0
    for first in range(0, len(sequences), BATCH):
        part = sequences.some(np.arange(first, min(first + BATCH, len(sequences))))
        unrolled.forward(part.x, part.states)
        squares = unrolled.operand_squares()
        totals = squares if totals is None else [a + b for a, b in zip(totals, squares, strict=True)]
        count += part.x.shape[0] * part.x.shape[1]
    return [np.sqrt(total / count) for total in totals or []]
