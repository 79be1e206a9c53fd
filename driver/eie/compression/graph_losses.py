"""What pruning and sharing of each linear map of a graph cost at the graph's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eie.compression.allocation import LossCurve, loss_curve, spread
from eie.compression.compared import pairs
from eie.compression.graph_products import FusedProduct, MovedProduct, NoisyProduct, Recorder
from eie.compression.groups import held, is_compensated, task_of
from eie.compression.least_squares import LeastSquares
from eie.compression.recipe import DEFAULT_DENSITY, Recipe
from eie.compression.samples import Sample
from eie.compression.streamed import Stream
from eie.compression.terms import terms_by_loss
from eie.network.evaluation import Hooks, check_inputs, evaluate_in_step, walk_in_step
from eie.network.graph import Array, Graph, Node
from eie.network.graph_model import run_products
from eie.network.linear_maps import LinearNode
from eie.network.operators.linear import Matrix, Product

_SAMPLES = 16
"""Inputs on which a graph's answer to errors is measured."""
_LEAST = 1e-30
"""Answer of outputs that do not change at all: of two layers without effect, the smaller loss is still the better."""


class GraphLosses:
    """The losses of a graph's linear maps, in the order of the nodes.

    How much an error of a linear map matters is measured: its outputs in the given network are moved a little at
    random, and the outputs of the graph are looked at. That holds for whatever operators follow. Of a network that is
    fed piece by piece, the weights are moved instead, and whole sequences run: what errs alike from piece to piece adds
    up in states that last.
    """

    def __init__(
        self,
        graph: Graph,
        nodes: Mapping[str, LinearNode],
        fused: set[str],
        recorded: Mapping[str, list[Recorder]],
        samples: Sequence[Sample],
        recipe: Recipe,
        stream: Stream | None = None,
    ) -> None:
        self.graph, self.nodes, self.fused, self.recorded, self.recipe = graph, nodes, fused, recorded, recipe
        self.samples, self.stream = _some(graph, samples), stream
        self.places = [(key, i) for key, linear in nodes.items() for i in range(len(linear.matrices))]
        if stream is None:
            self.wanted = evaluate_in_step(graph, self.samples, self._hooks())
        else:
            self.wanted = [self._outputs(stream, self._hooks())]
        self._curves: dict[int, LossCurve] = {}
        self._known: dict[int, float] = {}

    def counts(self, share: float, sizes: Sequence[int], tell: Callable[[int, str], None]) -> list[int | None]:
        """Return how many weights each linear map keeps so that the loss is least; the uncompensated ones all alike."""
        compensated = [at for at in range(len(self.places)) if self._compensated(at)]
        for at in compensated:
            if at not in self._curves:
                tell(at, "allocate")
                self._curves[at] = loss_curve(self._task(at), min(share, DEFAULT_DENSITY), self.recipe.effort)
        counts: list[int | None] = [max(1, round(share * size)) for size in sizes]
        total = round(share * sum(sizes[at] for at in compensated))
        found = spread([self._curves[at] for at in compensated], total) if compensated else []
        for at, count in zip(compensated, found, strict=True):
            counts[at] = count
        return counts

    def terms(self, counts: Sequence[int | None]) -> list[int]:
        """Return how many terms each linear map has; see `eie.compression.terms.terms_by_loss`."""
        terms = [1] * len(self.places)
        compensated = [at for at in range(len(self.places)) if self._compensated(at)]
        weights = [held(self._matrix(at), self.recipe.effort) for at in compensated]
        tasks = [self._task(at) for at in compensated]
        found = terms_by_loss(tasks, weights, [counts[at] for at in compensated], self.recipe)
        for at, number in zip(compensated, found, strict=True):
            terms[at] = number
        return terms

    def _compensated(self, at: int) -> bool:
        return is_compensated(self._matrix(at), self.recipe.effort)

    def _matrix(self, at: int) -> Matrix:
        key, i = self.places[at]
        return self.nodes[key].matrices[i]

    def _task(self, at: int) -> LeastSquares:
        key, i = self.places[at]
        matrix, inputs = self._matrix(at), self.recorded[key][i].samples()[0]
        importance = np.full(len(matrix.weight), self._sensitivity(at))
        return task_of(matrix, inputs, inputs, importance, self.recipe.effort)

    def _sensitivity(self, at: int) -> float:
        """Return the squared change of all outputs, each in units of its power, over that of one vector."""
        if not self._known:
            self._known = self._measured() if self.stream is None else self._streamed(self.stream)
        return self._known[at]

    def _measured(self) -> dict[int, float]:
        """Measure every linear map: what is before it is computed once, what is behind it anew."""
        found: dict[int, float] = {}
        samples = [check_inputs(self.graph, inputs) for inputs in self.samples]
        for place, values in walk_in_step(self.graph, samples, self._hooks()):
            for at in self._within(place):
                noisy = NoisyProduct(self._matrix(at), self.places[at][0] in self.fused)
                *_, (_, ends) = walk_in_step(self.graph, values, self._hooks(at, noisy), place)
                found[at] = self._change(ends, noisy.power)
        return found

    def _within(self, place: int) -> list[int]:
        """Return the linear maps of a node, or in its branches, that are compensated."""
        if place == len(self.graph.nodes):
            return []
        keys = {node.outputs[0] for node in self.graph.nodes[place].walk()}
        return [at for at, (key, _) in enumerate(self.places) if key in keys and self._compensated(at)]

    def _streamed(self, stream: Stream) -> dict[int, float]:
        """Measure every linear map on whole sequences."""
        found: dict[int, float] = {}
        for at, (key, i) in enumerate(self.places):
            if not self._compensated(at):
                continue
            moved = MovedProduct(self._matrix(at), key in self.fused, self.recorded[key][i].samples()[0])
            found[at] = self._change([self._outputs(stream, self._hooks(at, moved))], moved.power)
        return found

    def _outputs(self, stream: Stream, hooks: Hooks) -> dict[str, Array]:
        return stream.outputs(lambda inputs: evaluate_in_step(self.graph, [inputs], hooks)[0])

    def _hooks(self, at: int | None = None, product: Product | None = None) -> Hooks:
        """Return what computes the linear maps of the given network, one product of which is given here."""

        def hooks(node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
            key = node.outputs[0]
            linear = self.nodes.get(key)
            if linear is None:
                return None
            products: list[Product] = [FusedProduct(matrix, key in self.fused) for matrix in linear.matrices]
            if product is not None and at is not None and self.places[at][0] == key:
                products[self.places[at][1]] = product
            return [run_products(linear.with_attributes(), linear.without_weights(x), products) for x in samples]

        return hooks

    def _change(self, outputs: Sequence[Mapping[str, Array]], power: float) -> float:
        """Return the squared change of all outputs over that of one vector, whose power is given."""
        change = 0.0
        for _, wanted, found in pairs(self.wanted, outputs):
            both = np.isfinite(wanted) & np.isfinite(found)
            given = wanted[both].astype(np.float64)
            unit = float(np.sum(np.square(given))) or 1.0
            change += float(np.sum(np.square(found[both] - given))) / unit
        return max(change / power, _LEAST) if power else _LEAST


def _some(graph: Graph, samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return some of the samples, or of the inputs of one where the first axis of all is that of a batch."""
    batched = all(value.shape and not isinstance(value.shape[0], int) for value in graph.inputs)
    if len(samples) > 1 or not batched:
        return samples[:_SAMPLES]
    return [{name: array[:_SAMPLES] for name, array in samples[0].items()}]
