"""Refit of a recurrent layer through time: its weights pruned and shared little by little, while they learn to keep
the states of its sequences where the given layer has them.

Compensation takes each gate as a linear map of given inputs. What a gate errs comes back to it, though, as inputs of
the time steps that follow. Gradients through time know that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eie.compression.adam import Adam, schedule
from eie.compression.codebooks import Nearest, codes_of_terms, share_among, values_of
from eie.compression.compensation import Compensated, ascending
from eie.compression.learner import BATCH, CellLearner, Learner, Sequences
from eie.compression.row_units import scales_of_rows
from eie.compression.through_time import Floats, Unrolled
from eie.network.cells import Cell
from eie.network.operators.linear import Matrix

_HELD_OUT = 8
"""One in so many sequences is not learnt from; on these, what is best is chosen."""
_SHARED = (0.3, 0.5, 0.7, 0.85, 0.95, 1.0)
"""Share of the weights that have taken a shared value, stage after stage."""
_SHARING = 0.7
"""Share of the steps that the stages take; in the rest, the shared values settle."""
_RATE = 0.025
"""Adam's, see `eie.compression.learner`."""
_RATE_OF_VALUES = 0.003
"""That of shared values, in units of the largest."""
_LOOK = 20
"""Steps after which the sequences that are kept back are asked."""


@dataclass(frozen=True)
class Steps:
    """How many steps of pruning and of sharing a refit takes, and how many sequences each sees."""

    pruning: int
    sharing: int
    batch: int = BATCH


def refit(
    cell: Cell,
    sequences: Sequences,
    given: Sequence[Matrix],
    start: Sequence[Compensated],
    counts: Sequence[int],
    terms: Sequence[int],
    groups: Sequence[range] | None = None,
    *,
    free: bool = True,
    sharing: str = "kmeans",
    row_scales: bool = True,
    steps: Steps = Steps(240, 160),
) -> list[Compensated]:
    """Return the gates of a cell with weights that went through time; those that they began with if these do better.

    Parameters
    ----------
    cell : Cell
    sequences : Sequences
        Two at least.
    given : sequence of Matrix
        The gates of the given network.
    start : sequence of Compensated
        What compensation made of them.
    counts, terms : sequence of int
        Weights that each gate keeps, and its codebooks.
    groups : sequence of range, optional
        Gates that share codebooks; None: each has its own.
    free : bool
        Whether a gate may keep more weights, and another one fewer.
    sharing : {"kmeans", "linear"}
    row_scales : bool
        Whether rows have scales.
    steps : Steps
    """
    held = held_out(len(sequences))
    learner = CellLearner(cell, sequences.some(np.flatnonzero(~held)), given, steps.batch)
    kept_back = sequences.some(np.flatnonzero(held))
    learner.prune([int(count) for count in counts], free, steps.pruning)
    if not np.isfinite(error_of(learner.unrolled(), kept_back)):
        return list(start)
    alone = [range(gate, gate + 1) for gate in range(len(terms))]
    attempts = Sharing(learner, terms, groups or alone, sharing, [row_scales] * len(terms)).steps(steps.sharing)
    return best_of(start, attempts, partial(error, cell, kept_back))


def held_out(samples: int, most: int | None = None) -> NDArray[np.bool_]:
    """Return which samples are kept back: every eighth, so many at most, one at least."""
    apart = _HELD_OUT if most is None else max(_HELD_OUT, -(-samples // most))
    return np.arange(samples) % apart == min(apart, samples) - 1


def best_of(
    start: Sequence[Compensated],
    attempts: Iterable[list[Compensated]],
    error_of_matrices: Callable[[Sequence[Compensated]], float],
) -> list[Compensated]:
    """Return the attempt of the least error; what there was before if none has less."""
    best, least = list(start), error_of_matrices(start)
    for found in attempts:
        loss = error_of_matrices(found)
        if loss < least:
            best, least = found, loss
    return best


def error(cell: Cell, sequences: Sequences, gates: Sequence[Compensated]) -> float:
    """Return the squared error of a layer of shared weights in floats, over the power of what it should put out."""
    dtype = sequences.x.dtype
    weights = [gate.shared.astype(dtype) for gate in gates]
    unrolled = Unrolled(cell, weights, [gate.shared_bias.astype(dtype) for gate in gates])
    return error_of(unrolled, sequences)


def error_of(unrolled: Unrolled, sequences: Sequences) -> float:
    off = power = 0.0
    for first in range(0, len(sequences), BATCH):
        part = sequences.some(np.arange(first, min(first + BATCH, len(sequences))))
        off += float(np.sum(np.square(unrolled.forward(part.x, part.states)[:, :, 0] - part.wanted, dtype=np.float64)))
        power += float(np.sum(np.square(part.wanted, dtype=np.float64)))
    return off / (power or 1.0)


class Sharing:
    """The same weights while they take shared values (Zhou et al., "Incremental network quantization", 2017).

    Parameters
    ----------
    learner : Learner
    terms : sequence of int
        Codebooks of each matrix.
    groups : sequence of range
        Matrices that share codebooks, as gates may.
    sharing : {"kmeans", "linear"}
    row_scales : sequence of bool
        Of each matrix.
    """

    def __init__(
        self,
        learner: Learner,
        terms: Sequence[int],
        groups: Sequence[range],
        sharing: str,
        row_scales: Sequence[bool],
    ) -> None:
        self.learner, self.groups = learner, groups
        self.group_of = [number for number, group in enumerate(groups) for _ in group]
        self.units: list[NDArray[np.float64]] = []
        self.codes = [np.zeros(mask.shape, np.uint8) for mask in learner.masks]
        self.books = []
        saliency = learner.saliency()
        for group in groups:
            self.units += self._units(group, row_scales[group.start])
            masses = [(saliency[gate] * self.units[gate][:, None] ** 2)[learner.masks[gate]] for gate in group]
            weights = [self._in_units(gate)[learner.masks[gate]] for gate in group]
            of_gates = np.concatenate(weights), sharing, terms[group.start], np.concatenate(masses)
            self.books.append(share_among(*of_gates)[0])

    def _units(self, group: range, row_scales: bool) -> list[NDArray[np.float64]]:
        """Return the units of the rows of gates that share values."""
        weight, bias = (
            np.concatenate([of_gates[gate] for gate in group]).astype(np.float64)
            for of_gates in (self.learner.weights, self.learner.biases)
        )
        any_left = any(self.learner.masks[gate].any() for gate in group)
        return np.split(scales_of_rows(weight, bias) if row_scales and any_left else np.ones(len(weight)), len(group))

    def steps(self, steps: int) -> Iterator[list[Compensated]]:
        """Share values among more and more weights, while the others learn to make up for that, and then the values.

        Yields what the layer comes to, every now and then.
        """
        learner, gates = self.learner, range(len(self.codes))
        adam = Adam([*learner.weights, *learner.biases], learner.rates(_RATE))
        limits = [np.where(book != 0, _RATE_OF_VALUES * np.abs(book).max(), 0) for book in self.books]
        of_values = Adam(self.books, limits)
        stages = [int(_SHARING * steps * i / len(_SHARED)) for i in range(len(_SHARED))]
        for step in range(steps + 1):
            if step in stages:
                for gate in gates:
                    self._fix(gate, _SHARED[stages.index(step)])
            if step == steps or (step >= stages[-1] and step % _LOOK == 0):
                yield [chosen for group in self.groups for chosen in self._chosen(group)]
            if step == steps:
                return
            learner.weights = [self._shared(gate) for gate in gates]
            adam.parameters[: len(gates)] = learner.weights
            learner.pace = factor = schedule(step, steps)
            weights, biases = learner.gradients(learner.weights)
            of_values.step(
                [np.sum([self._of_values(g, weights[g]) for g in group], axis=0) for group in self.groups], factor
            )
            adam.step(
                [*(w * (code == 0) for w, code in zip(learner.masked(weights), self.codes, strict=True)), *biases],
                factor,
            )

    def book(self, gate: int) -> NDArray[np.float64]:
        """Return a gate's codebooks."""
        return self.books[self.group_of[gate]]

    def _in_units(self, gate: int) -> NDArray[np.float32]:
        return (self.learner.weights[gate] / self.units[gate][:, None]).astype(np.float32)

    def _fix(self, gate: int, share: float) -> None:
        """Give codes to more of the weights, drawn at random: so those that are left can make up for any of them."""
        mask, codes = self.learner.masks[gate], self.codes[gate]
        free = np.flatnonzero(mask & (codes == 0))
        count = round(share * np.count_nonzero(mask)) - (np.count_nonzero(mask) - len(free))
        if count > 0:
            chosen = self.learner.random.permutation(free)[:count]
            codes.ravel()[chosen] = Nearest(values_of(self.book(gate)))(self._in_units(gate).ravel()[chosen])

    def _shared(self, gate: int) -> Floats:
        """Return a gate's weights, those with codes at their shared values."""
        weight, codes = self.learner.weights[gate], self.codes[gate]
        values = values_of(self.book(gate))[codes] * self.units[gate][:, None]
        return np.where(codes > 0, values, weight).astype(weight.dtype)

    def _of_values(self, gate: int, gradient: Floats) -> NDArray[np.float64]:
        """Return the gradient of the shared values: the sum of that of the weights which take them."""
        moved = (gradient * self.units[gate][:, None]).ravel()
        book = self.book(gate)
        parts = codes_of_terms(self.codes[gate].ravel(), len(book))
        return np.stack([np.bincount(part, np.where(part > 0, moved, 0), book.shape[1]) for part in parts])

    def _chosen(self, group: range) -> list[Compensated]:
        learner = self.learner
        codes, book = ascending(np.concatenate([self.codes[gate] for gate in group]), self.book(group.start))
        found = []
        for gate, part in zip(group, np.split(codes, len(group)), strict=True):
            weight, bias = learner.weights[gate].astype(np.float32), learner.biases[gate].astype(np.float32)
            units = None if (self.units[gate] == 1).all() else self.units[gate]
            found.append(Compensated(weight, bias, learner.masks[gate], part, book, bias, units))
        return found
