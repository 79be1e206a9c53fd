"""Which sequences a recurrent node of a graph is refitted on, and how long that may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from eie.compression.compensation import Compensated
from eie.compression.gates import gates_alike
from eie.compression.learner import BATCH, Sequences, biases_of
from eie.compression.recipe import Recipe
from eie.compression.recurrent import run_as_the_array
from eie.compression.refit import Steps, error, refit
from eie.compression.through_time import Floats, Unrolled
from eie.network.cells import CELLS, STATE_BITS, Cell
from eie.network.graph import Array
from eie.network.graph_model import ArrayProduct
from eie.network.linear_maps import LinearNode
from eie.network.operators.gates import DIRECTIONS, run_directions
from eie.network.operators.linear import Matrix

_WINDOW = 256
"""Most time steps that gradients go back; longer sequences are cut, each part from the states that it begins with."""
_SHORTEST = 8
"""Least time steps of a part, if a single sequence is cut to have something to hold back."""
_SAME = 1e-3
"""Largest difference of states, in units of the largest, that rounding explains."""
_STATES = 5
"""Of a node's inputs, the first state."""
_BATCH_AXES = {False: ((1, 1), (1, 2)), True: ((0, 0), (0, 0))}
"""By layout: of a node's inputs and of its outputs, the axis of the batch of states, and of sequences."""
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

    def refit(self, start: Sequence[Compensated], terms: Sequence[int], recipe: Recipe) -> list[Compensated] | None:
        """Return the gates of all directions refitted; None if that is not worth it, or takes too long."""
        cell = CELLS[self.linear.attributes["cell"]]
        each, found = len(cell.gates), list(start)
        given, seen = self._sequences(self.given), self._sequences(self.seen)
        if self.goes_on:
            given, seen = ([_chained(*each, self.pieces) for each in parts] for parts in (given, seen))
        for direction in range(len(DIRECTIONS[self.linear.attributes["direction"]])):
            gates = slice(direction * each, (direction + 1) * each)
            matrices = self.linear.matrices[gates]
            parts = _parts(cell, matrices, given[direction], seen[direction])
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
                [int(np.count_nonzero(gate.mask)) for gate in start[gates]],
                terms[gates],
                gates_alike(cell, terms[gates], recipe.shared_gates),
                free=recipe.allocation == "loss",
                sharing=recipe.sharing,
                row_scales=recipe.row_scales is not False,
                steps=steps,
            )
        return None if all(a is b for a, b in zip(found, start, strict=True)) else found

    @cached_property
    def goes_on(self) -> bool:
        """Whether the states of a piece are those that the node itself had at the end of the one before."""
        if self.pieces == 1 or self.linear.attributes["direction"] != "forward":
            return False
        ((x, first),) = self._sequences(self.given)
        whole = _states(
            _unrolled(CELLS[self.linear.attributes["cell"]], self.linear.matrices), *_chained(x, first, self.pieces)
        )
        batch, length = len(whole), x.shape[1]
        ends = whole[:, length - 1 :: length].swapaxes(0, 1).reshape(first.shape)
        return np.allclose(ends[:-batch], first[batch:], rtol=0, atol=_SAME * float(np.abs(first).max(initial=1)))

    def outputs(self, products: Sequence[ArrayProduct]) -> list[Array]:
        """Compute the node as the array will; piece by piece, with the states that it then has, if it goes on so."""
        if not self.goes_on:
            return run_as_the_array(self.linear, self.seen, products)
        of_inputs, of_outputs = _BATCH_AXES[bool(self.linear.attributes["layout"])]
        parts = [
            None if x is None else np.split(x, self.pieces, axis=of_inputs[i == 0]) for i, x in enumerate(self.seen)
        ]
        found: list[list[Array]] = []
        for piece in range(self.pieces):
            values = [None if part is None else part[piece] for part in parts]
            if found:
                values[_STATES : _STATES + len(found[-1]) - 1] = found[-1][1:]
            found.append(run_as_the_array(self.linear, values, products))
        return [np.concatenate(each, axis=of_outputs[i == 0]) for i, each in enumerate(zip(*found, strict=True))]

    def _sequences(self, values: list[Array | None]) -> list[tuple[Floats, Floats]]:
        """Return inputs (B, T, C), as the gates take them, and states (B, states, H) of each direction."""
        attributes, found = self.linear.attributes, []

        def sequence(direction: int, x: Array, states: Array) -> tuple[Array, Array]:
            scale = x.dtype.type(2.0 ** (attributes["input_bits"] - STATE_BITS))
            found.append((np.asarray(x * scale, np.float32), np.asarray(states, np.float32)))
            return np.zeros((*x.shape[:2], states.shape[2]), x.dtype), states

        run_directions(values, attributes, sequence)
        return found


def together(linear: LinearNode, samples: Sequence[list[Array | None]]) -> list[Array | None] | None:
    """Return the inputs that a node has in several samples, without weights, as a batch; None if sizes differ."""
    if len(samples) == 1:
        return samples[0]
    axes, _ = _BATCH_AXES[bool(linear.attributes["layout"])]
    found: list[Array | None] = []
    for i, parts in enumerate(zip(*samples, strict=True)):
        axis, arrays = axes[i == 0], [x for x in parts if x is not None]
        if len({np.delete(x.shape, axis).tobytes() for x in arrays}) > 1:
            return None
        found.append(np.concatenate(arrays, axis) if arrays else None)
    return found


def apart(linear: LinearNode, outputs: list[Array], samples: Sequence[list[Array | None]]) -> list[list[Array]]:
    """Return the outputs of a batch that `together` made, sample by sample."""
    of_inputs, of_outputs = _BATCH_AXES[bool(linear.attributes["layout"])]
    ends = np.cumsum([x.shape[of_inputs[True]] for x, *_ in samples if x is not None])[:-1]
    parts = [np.split(y, ends, of_outputs[i == 0]) for i, y in enumerate(outputs)]
    return [list(each) for each in zip(*parts, strict=True)]


def _unrolled(cell: Cell, given: Sequence[Matrix]) -> Unrolled:
    return Unrolled(cell, [np.asarray(matrix.weight, np.float32) for matrix in given], biases_of(given))


def _parts(
    cell: Cell, given: Sequence[Matrix], before: tuple[Floats, Floats], seen: tuple[Floats, Floats]
) -> Sequences | None:
    """Return sequences of a length that gradients can go back, two at least; None if there are not so many."""
    states = _states(_unrolled(cell, given), *before)
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


def _steps(given: Sequence[Matrix], parts: Sequences, effort: str) -> Steps | None:
    """Return how many steps the work allows, and how many sequences at once the memory does; None if too few."""
    hidden, length = parts.wanted.shape[2], parts.x.shape[1]
    batch = int(min(BATCH, max(1, _NUMBERS // (_KEPT * hidden * length))))
    work = 6 * sum(matrix.weight.size for matrix in given) * length * min(batch, len(parts))
    pruning, sharing = _STEPS[effort]
    share = min(1.0, _WORK[effort] / (work * (pruning + sharing)))
    steps = Steps(int(pruning * share), int(sharing * share), batch)
    return steps if min(steps.pruning, steps.sharing) >= _LEAST else None
