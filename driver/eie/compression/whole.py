"""Refit of a network as a whole: the weights that are left learn to keep its outputs where the given network has them,
while they are shared anew (distillation; Hinton, Vinyals and Dean, 2015). Extra "train": PyTorch.

What compensation and the refit of a layer keep is each layer's outputs; what the layers behind make of an error they do
not know. Gradients of the network's outputs do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import Compensated
from eie.compression.learner import PROBES, Learner
from eie.compression.recipe import Recipe
from eie.compression.refit import Sharing, best_of, held_out
from eie.compression.samples import Sample
from eie.compression.streamed import Stream
from eie.compression.student import torch
from eie.compression.through_time import Floats
from eie.compression.torch_graph import TorchGraph
from eie.compression.trained import Trained
from eie.errors import NetworkError
from eie.network.graph import Graph
from eie.network.linear_maps import LinearNode

_MEASURED = 64
"""Most inputs, or sequences, that are not learnt from; on these, what is best is chosen."""
_STEPS = {"fast": 200, "auto": 1000, "thorough": 4000}
"""Steps, by effort."""
_WORK = {"fast": 1e13, "auto": 3e13, "thorough": 3e14}
"""Most floating-point operations, by effort; "auto" takes a core a quarter of an hour."""
_OF_STEP = 2e10
"""Floating-point operations that a step should have, if its inputs are neither more nor fewer than these."""
_BATCH = (16, 128)
_PASSES = 8.0
"""Floating-point operations for each product: forwards in both networks, and back."""
_INNER = 0.5
"""What the linear maps' outputs count beside the network's, in the beginning; in the end, nothing. There are more of
them, which tells more of each input, so that few inputs are not learnt by heart."""
_SMALLEST = 1e-12


class Lesson:
    """What a network is to learn: what the given one makes of the calibration.

    Parameters
    ----------
    graph : TorchGraph
    given : mapping of str to pair of tensors
        Its matrices and biases.
    inputs : sequence of dict of str to ndarray
        Samples; one alone has a batch along its first axis.
    stream : Stream, optional
        In place of these.
    """

    def __init__(
        self, graph: TorchGraph, given: Mapping[str, Any], inputs: Sequence[Sample], stream: Stream | None
    ) -> None:
        self.graph, self.given, self._inputs, self._stream = graph, given, inputs, stream
        self.samples = len(inputs) if stream is None else stream.batch
        if stream is None and self.samples == 1:
            counts = {len(array) if array.ndim else 0 for array in inputs[0].values()}
            if len(counts) != 1:
                raise NetworkError("the inputs have no common first axis, that of a batch")
            (self.samples,) = counts

    def losses(self, matrices: Mapping[str, Any], chosen: NDArray[np.intp]) -> list[list[torch.Tensor]]:
        """Return residuals for some inputs: of the network's outputs, and of those of its linear maps."""
        with torch.no_grad():
            wanted = self._run(self.given, chosen)
        found = self._run(matrices, chosen)
        return [[_residual(x, y) for x, y in zip(*parts, strict=True)] for parts in zip(found, wanted, strict=True)]

    def error(self, matrices: Mapping[str, Any], chosen: NDArray[np.intp], batch: int) -> float:
        """Return the mean squared error of some inputs' outputs, each over its power."""
        parts = [chosen[first : first + batch] for first in range(0, len(chosen), batch)]
        with torch.no_grad():
            errors = [float(_mean_square(self.losses(matrices, part)[0])) for part in parts]
        found = float(np.average(errors, weights=[len(part) for part in parts]))
        return found if np.isfinite(found) else np.inf

    def _run(self, matrices: Mapping[str, Any], chosen: NDArray[np.intp]) -> tuple[list[Any], list[Any]]:
        """Return the outputs, and those of the linear maps."""
        if self._stream is not None:
            runs = [self.graph.stream(part, matrices) for part in self._stream.some(chosen).parts]
        elif len(self._inputs) > 1:
            runs = [self.graph(self._inputs[i], matrices) for i in chosen]
        else:
            runs = [self.graph({name: array[chosen] for name, array in self._inputs[0].items()}, matrices)]
        outputs, inner = zip(*runs, strict=True)
        return _floats(outputs), _floats(inner)


def _floats(runs: Sequence[Mapping[str, Any]]) -> list[torch.Tensor]:
    """Return the values that are floats, those of all runs of one name together."""
    found = []
    for name in runs[0]:
        values = [run[name] for run in runs if _is_floats(run.get(name))]
        if len(values) == len(runs):
            found.append(values[0] if len(runs) == 1 else torch.cat([x.flatten() for x in values]))
    return found


def _is_floats(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 0


def _residual(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far values are from those wanted, in units of the root mean square of these."""
    return (found - wanted) / (wanted.square().mean().sqrt() + _SMALLEST)


def _mean_square(residuals: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([x.square().mean() for x in residuals]).mean()


class NetworkLearner(Learner):
    """The weights of a network's matrices while they learn."""

    def __init__(self, lesson: Lesson, trained: Sequence[Trained], chosen: NDArray[np.intp], batch: int) -> None:
        self.lesson, self.trained, self.chosen = lesson, trained, chosen
        self._units = [
            torch.ones(len(part.start.bias)) if part.units is None else torch.as_tensor(part.units, dtype=torch.float32)
            for part in trained
        ]
        weights, biases = (
            [part.start.weight * part.start.mask for part in trained],
            [part.start.bias for part in trained],
        )
        super().__init__(weights, biases, [matrix.sizes for matrix in trained], len(chosen), batch)
        self.masks = [part.start.mask for part in trained]

    def matrices(self, weights: Sequence[Any], biases: Sequence[Any]) -> dict[str, Any]:
        """Return all matrices and biases by name, as the graph takes them."""
        found = dict(self.lesson.given)
        for matrix, units, weight, bias in zip(self.trained, self._units, weights, biases, strict=True):
            weight, bias = (torch.as_tensor(x, dtype=torch.float32) for x in (weight, bias))
            found[matrix.name] = weight * units[:, None], bias * units
        return found

    def error(self, gates: Sequence[Compensated], held: NDArray[np.intp]) -> float:
        """Return the error of matrices of shared values, on other inputs."""
        weights = [gate.shared.astype(np.float32) for gate in gates]
        matrices = self.matrices(weights, [gate.shared_bias for gate in gates])
        return self.lesson.error(matrices, held, self._size)

    def gradients(self, weights: list[Floats]) -> tuple[list[Floats], list[Floats]]:
        leaves, (outputs, inner) = self._forward(weights)
        loss = _mean_square(outputs) + (self.pace * _INNER * _mean_square(inner) if inner else 0)
        found = self._back(loss, leaves)
        return found[: len(weights)], found[len(weights) :]

    def saliency(self) -> list[Floats]:
        found = [np.zeros_like(weight) for weight in self.weights]
        for _ in range(PROBES):
            leaves, (residuals, _) = self._forward(self.weights)
            probes = [self.random.standard_normal(tuple(x.shape)).astype(np.float32) for x in residuals]
            moved = sum(
                (x * torch.as_tensor(probe)).sum() / x.numel() ** 0.5
                for x, probe in zip(residuals, probes, strict=True)
            )
            for total, gradient in zip(found, self._back(moved, leaves)[: len(found)], strict=True):
                total += gradient * gradient
        return found

    def _forward(self, weights: Sequence[Floats]) -> tuple[list[Any], list[list[Any]]]:
        leaves = [torch.tensor(x, dtype=torch.float32, requires_grad=True) for x in (*weights, *self.biases)]
        matrices = self.matrices(leaves[: len(weights)], leaves[len(weights) :])
        return leaves, self.lesson.losses(matrices, self.chosen[self.batch()])

    @staticmethod
    def _back(scalar: Any, leaves: list[Any]) -> list[Floats]:
        if not scalar.requires_grad:
            return [np.zeros(tuple(leaf.shape), np.float32) for leaf in leaves]
        found = torch.autograd.grad(scalar, leaves, allow_unused=True)
        return [
            np.zeros(tuple(leaf.shape), np.float32) if x is None else x.numpy()
            for leaf, x in zip(leaves, found, strict=True)
        ]


def refit_whole(
    graph: Graph,
    nodes: Mapping[str, LinearNode],
    fused: Collection[str],
    inputs: Sequence[Sample],
    stream: Stream | None,
    trained: Sequence[Trained],
    groups: Sequence[range],
    recipe: Recipe,
) -> list[Compensated] | None:
    """Return matrices that were shared while the network learnt; None if they are no better than before.

    Parameters
    ----------
    graph, nodes, fused
        See `eie.compression.torch_graph.TorchGraph`.
    inputs, stream
        See `Lesson`.
    trained : sequence of Trained
        The matrices that learn; others are as the given network has them.
    groups : sequence of range
        Matrices that share codebooks.
    recipe : Recipe

    Raises
    ------
    NetworkError
        If an operator has no gradient, or there are too few inputs.
    """
    lesson = Lesson(TorchGraph(graph, nodes, fused), _given(nodes), inputs, stream)
    if lesson.samples < 2:
        raise NetworkError('refit="whole" has one calibration input; it needs several, for some are kept back')
    held = held_out(lesson.samples, _MEASURED)
    learnt, kept_back = np.flatnonzero(~held), np.flatnonzero(held)
    work = _PASSES * sum(matrix.start.weight.size * matrix.vectors for matrix in trained) / lesson.samples
    batch = min(int(np.clip(_OF_STEP / work, *_BATCH)), len(learnt))
    learner = NetworkLearner(lesson, trained, learnt, batch)
    steps = int(min(_STEPS[recipe.effort], _WORK[recipe.effort] / (work * batch)))
    start = [matrix.start for matrix in trained]
    terms, scaled = [matrix.terms for matrix in trained], [matrix.start.units is not None for matrix in trained]
    attempts = Sharing(learner, terms, groups, recipe.sharing, scaled).steps(steps)
    found = best_of(start, attempts, lambda gates: learner.error(gates, kept_back))
    return None if found[0] is start[0] else found


def _given(nodes: Mapping[str, LinearNode]) -> dict[str, Any]:
    """Return the given network's matrices and biases."""
    found = {}
    for linear in nodes.values():
        for name, matrix in zip(linear.names, linear.matrices, strict=True):
            bias = np.zeros(len(matrix.weight)) if matrix.bias is None else matrix.bias
            found[name] = tuple(torch.tensor(np.array(x), dtype=torch.float32) for x in (matrix.weight, bias))
    return found
