"""Which sequences a recurrent node of a graph is refitted on, and how long that may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eie.compression.compensation import Compensated
from eie.compression.learner import BATCH, Sequences, biases_of
from eie.compression.recipe import Recipe
from eie.compression.refit import Steps, error, refit
from eie.compression.through_time import Floats, Unrolled
from eie.network.cells import CELLS, STATE_BITS, Cell
from eie.network.graph import Array
from eie.network.linear_maps import LinearNode
from eie.network.operators.gates import DIRECTIONS, run_directions
from eie.network.operators.linear import Matrix

_WINDOW = 256
"""Most time steps that gradients go back; longer sequences are cut, each part from the states that it begins with."""
_SHORTEST = 8
"""Least time steps of a part, if a single sequence is cut to have something to hold back."""
_GOOD = 10**-3.5
"""Error of a layer's outputs, over their power, below which there is nothing to mend: 35 dB."""
_STEPS = {"fast": (100, 80), "auto": (240, 160), "thorough": (1000, 600)}
"""Steps of pruning and of sharing by effort."""
_WORK = {"fast": 4e12, "auto": 1e13, "thorough": 1e14}
"""Most floating-point operations of a layer, by effort; "auto" takes a core some minutes."""
_LEAST = 40
"""Steps of pruning, or of sharing, that are worth it."""
_NUMBERS = 1e8
"""Most numbers that are kept for the way back."""
_KEPT = 16
"""Those of a hidden unit in a time step."""


@dataclass(frozen=True)
class NodeTask:
    """A recurrent node, its inputs in the given network and in the compressed one.

    Parameters
    ----------
    linear : LinearNode
    given, seen : list of ndarray or None
        The node's inputs, without weights.
    pieces : int
        Of a network that is fed piece by piece, how many pieces its batch is made of, one behind the other; else 1.
    """

    linear: LinearNode
    given: list[Array | None]
    seen: list[Array | None]
    pieces: int = 1

    def refit(
        self, start: Sequence[Compensated], counts: Sequence[int], terms: Sequence[int], recipe: Recipe
    ) -> list[Compensated] | None:
        """Return the gates of all directions refitted; None if that is not worth it, or takes too long."""
        cell = CELLS[self.linear.attributes["cell"]]
        each, found = len(cell.gates), list(start)
        given, seen = self._sequences(self.given), self._sequences(self.seen)
        for direction, backwards in enumerate(DIRECTIONS[self.linear.attributes["direction"]]):
            gates = slice(direction * each, (direction + 1) * each)
            matrices = self.linear.matrices[gates]
            pieces = 1 if backwards else self.pieces
            parts = _parts(cell, matrices, given[direction], seen[direction], pieces)
            if parts is None or error(cell, parts, start[gates]) < _GOOD:
                continue
            steps = _steps(matrices, parts, recipe.effort)
            if steps is None:
                continue
            found[gates] = refit(
                cell,
                parts,
                matrices,
                start[gates],
                counts[gates],
                terms[gates],
                free=recipe.allocation == "loss",
                sharing=recipe.sharing,
                row_scales=recipe.row_scales is not False,
                steps=steps,
            )
        return None if all(a is b for a, b in zip(found, start, strict=True)) else found

    def _sequences(self, values: list[Array | None]) -> list[tuple[Floats, Floats]]:
        """Return inputs (B, T, C), as the gates take them, and states (B, states, H) of each direction."""
        attributes, found = self.linear.attributes, []

        def sequence(direction: int, x: Array, states: Array) -> tuple[Array, Array]:
            scale = x.dtype.type(2.0 ** (attributes["input_bits"] - STATE_BITS))
            found.append((np.asarray(x * scale, np.float32), np.asarray(states, np.float32)))
            return np.zeros((*x.shape[:2], states.shape[2]), x.dtype), states

        run_directions(values, attributes, sequence)
        return found


def _parts(
    cell: Cell, given: Sequence[Matrix], before: tuple[Floats, Floats], seen: tuple[Floats, Floats], pieces: int
) -> Sequences | None:
    """Return sequences of a length that gradients can go back, two at least; None if there are not so many."""
    weights = [np.asarray(matrix.weight, np.float32) for matrix in given]
    unrolled = Unrolled(cell, weights, biases_of(given))
    states = _states(unrolled, *before)
    if pieces > 1:
        chained = [_chained(x, first, pieces) for x, first in (before, seen)]
        whole = _states(unrolled, *chained[0])
        goes_on = _unchained(whole, pieces)
        if np.allclose(goes_on[: states.shape[0]], states, rtol=1e-2, atol=1e-3 * float(np.abs(states).max(initial=1))):
            before, seen, states = chained[0], chained[1], whole
    batch, length = seen[0].shape[:2]
    cuts = max(-(-length // _WINDOW), 1)
    if batch * cuts == 1 and length >= 2 * _SHORTEST:
        cuts = 2
    if batch * cuts < 2 or not length:
        return None
    size = length // cuts
    parts = [slice(i * size, (i + 1) * size) for i in range(cuts)]
    begin = [seen[1] if i == 0 else states[:, i * size - 1] for i in range(cuts)]
    return Sequences(
        np.concatenate([seen[0][:, part] for part in parts]),
        np.concatenate(begin),
        np.concatenate([states[:, part, 0] for part in parts]),
    )


def _states(unrolled: Unrolled, x: Floats, states: Floats) -> Floats:
    each = [unrolled.forward(x[i : i + BATCH], states[i : i + BATCH]) for i in range(0, len(x), BATCH)]
    return np.concatenate(each)


def _chained(x: Floats, states: Floats, pieces: int) -> tuple[Floats, Floats]:
    """Return pieces that are a batch, one behind the other, as sequences: (P B, T, C) -> (B, P T, C)."""
    batch, length, columns = len(x) // pieces, *x.shape[1:]
    return x.reshape(pieces, batch, length, columns).swapaxes(0, 1).reshape(batch, -1, columns), states[:batch]


def _unchained(states: Floats, pieces: int) -> Floats:
    """Return the states of sequences (B, P T, states, H) as those of pieces: (P B, T, states, H)."""
    batch, length = len(states), states.shape[1] // pieces
    return (
        states.reshape(batch, pieces, length, *states.shape[2:]).swapaxes(0, 1).reshape(-1, length, *states.shape[2:])
    )


def _steps(given: Sequence[Matrix], parts: Sequences, effort: str) -> Steps | None:
    """Return how many steps the work allows, and how many sequences at once the memory does; None if too few."""
    hidden, length = parts.wanted.shape[2], parts.x.shape[1]
    batch = int(min(BATCH, max(1, _NUMBERS // (_KEPT * hidden * length))))
    work = 6 * sum(matrix.weight.size for matrix in given) * length * min(batch, len(parts))
    pruning, sharing = _STEPS[effort]
    share = min(1.0, _WORK[effort] / (work * (pruning + sharing)))
    steps = Steps(int(pruning * share), int(sharing * share), batch)
    return steps if min(steps.pruning, steps.sharing) >= _LEAST else None
