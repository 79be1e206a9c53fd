"""Compression of a chain of fully connected layers, each calibrated on what the compressed ones before it give."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eie.compression.allocation import Density, LossCurve, checked, given_counts, loss_curves, spread
from eie.compression.calibration import split
from eie.compression.compensation import Compensated, compensate
from eie.compression.forward import forward_pruned
from eie.compression.layers import by_magnitude, distinct_weights, fixed_point, is_exact, weight_sqnr
from eie.compression.least_squares import least_squares
from eie.compression.recipe import DEFAULT_DENSITY, WHOLE, Recipe
from eie.compression.report import CompressionReport, LayerReport, layer_report
from eie.compression.scaling import activation_fraction_bits
from eie.compression.sensitivity import importances
from eie.compression.terms import given_terms, terms_by_loss
from eie.compression.trace import Trace
from eie.compression.trained import Trained, root_mean_squares
from eie.contract.config import ArrayConfig
from eie.errors import NetworkError
from eie.network.chain import as_graph
from eie.network.linear_maps import linear_nodes
from eie.network.model import Dense, Layer, Model


class ChainJob:
    """A network and all that its compression needs, whatever number of weights its layers keep."""

    def __init__(
        self,
        layers: list[Dense],
        recipe: Recipe,
        inputs: NDArray[np.float32],
        config: ArrayConfig,
        tell: Callable[[int, str], None],
    ) -> None:
        self.layers, self.recipe, self.inputs, self.config, self.tell = layers, recipe, inputs, config, tell
        self.compensated = recipe.method == "compensated"
        self.fitted, self.measured = split(len(inputs), self.compensated)
        self.importances = importances(layers, inputs[self.fitted]) if self.compensated else []
        self._curves: list[LossCurve] = []
        self._terms: list[int] = []
        self.shared_anew: dict[str, int] = {}

    def counts(self, density: Density, least: int = 0) -> list[int | None]:
        """Return how many weights each layer keeps, at least so many of those that it has."""
        weights, names = [layer.weight for layer in self.layers], [layer.name for layer in self.layers]
        if self.recipe.allocation != "loss":
            return given_counts(weights, density, self.recipe.allocation, names, least)
        share = checked(density, "the network")
        if len(weights) == 1 or share == 1:
            return given_counts(weights, share, "uniform", names, least)
        if not self._curves:
            inputs, lowest = self.inputs[self.fitted], min(share, DEFAULT_DENSITY)
            self._curves = loss_curves(self.layers, inputs, self.importances, lowest, self.recipe.effort, self.tell)
        return list(spread(self._curves, round(share * sum(weight.size for weight in weights))))

    @property
    def samples(self) -> int:
        """Calibration inputs."""
        return len(self.inputs)

    def run(self, counts: list[int | None], name: str, keep_integers: bool) -> tuple[Model, CompressionReport]:
        """Compress the layers, one after another, to so many weights each."""
        self._terms = self._choose_terms(counts)
        first = self._run(counts, name, {})
        if self.recipe.refit != WHOLE or not self._learning:
            return first
        found = self._refit_whole()
        return self._run(counts, name, found) if found else first

    def _run(
        self, counts: list[int | None], name: str, ready: dict[str, Compensated]
    ) -> tuple[Model, CompressionReport]:
        """Compress the layers; those that are ready, as they are."""
        self.shared_anew = {}
        self._learning: list[Trained] = []
        bits = activation_fraction_bits(_peak(self.inputs) * self.recipe.headroom)
        trace = Trace.start(self.inputs, bits, self.measured)
        compressed, rows = [], []
        for i, dense in enumerate(self.layers):
            tell = partial(self.tell, i)
            chosen = ready.get(dense.name) or self._choose(i, counts[i], trace, tell)
            self._learn(i, counts[i], trace, chosen)
            layer, row = self._finish(dense, chosen, trace, tell)
            compressed.append(layer)
            rows.append(row)
        return Model(compressed, name), CompressionReport(tuple(rows))

    def _learn(self, index: int, count: int | None, trace: Trace, chosen: Compensated) -> None:
        """Note what a refit as a whole begins with, unless nothing is lost."""
        dense, terms = self.layers[index], self._terms[index]
        if is_exact(dense.weight, count, terms):
            return
        sizes = root_mean_squares(trace.given)
        self._learning.append(Trained(dense.name, None, chosen, terms, sizes, len(trace.given)))

    def _refit_whole(self) -> dict[str, Compensated]:
        """Return the layers refitted with the network as a whole; none if that does not help."""
        from eie.compression.whole import refit_whole

        graph, fused = as_graph(self.layers)
        (source,) = graph.inputs
        inputs = {source.name: self.inputs[self.fitted]}
        groups = [range(i, i + 1) for i in range(len(self._learning))]
        self.tell(len(self.layers) - 1, "refit")
        found = refit_whole(graph, linear_nodes(graph), fused, [inputs], None, self._learning, groups, self.recipe)
        return {} if found is None else {part.name: new for part, new in zip(self._learning, found, strict=True)}

    def _choose_terms(self, counts: list[int | None]) -> list[int]:
        if self.recipe.terms != "loss":
            return given_terms(self.recipe.terms, [layer.name for layer in self.layers])
        tasks, inputs = [], self.inputs[self.fitted]
        for i, layer in enumerate(self.layers):
            self.tell(i, "allocate")
            tasks.append(least_squares(layer.weight, layer.bias, inputs, inputs, self.importances[i]))
            inputs = forward_pruned(inputs, layer.weight, None, layer.bias, layer.activation == "relu")
        return terms_by_loss(tasks, [layer.weight for layer in self.layers], counts, self.recipe)

    def _choose(self, index: int, count: int | None, trace: Trace, tell: Callable[[str], None]) -> Compensated:
        """Choose a layer's weights, shared values and biases."""
        tell("prune")
        dense, terms = self.layers[index], self._terms[index]
        exact = is_exact(dense.weight, count, terms)
        if count is None and terms == 1 and not exact:
            self.shared_anew[dense.name] = distinct_weights(dense.weight)
        if not self.compensated or exact:
            return by_magnitude(dense, count, self.recipe.sharing, tell, terms)
        given, inputs = trace.given[self.fitted], trace.inputs()
        inputs = given if inputs is trace.given else inputs[self.fitted]
        task = least_squares(dense.weight, dense.bias, given, inputs, self.importances[index])
        recipe = self.recipe
        return compensate(task, dense.weight, count, recipe.sharing, recipe.effort, tell, terms, recipe.row_scales)

    def _finish(
        self, dense: Dense, chosen: Compensated, trace: Trace, tell: Callable[[str], None]
    ) -> tuple[Layer, LayerReport]:
        """Give a layer its fixed point, and move the trace behind it."""
        tell("scale")
        trace.prune(dense, chosen)
        peak = _peak(trace.pruned)
        if not np.isfinite(peak):
            raise NetworkError(
                f"layer {dense.name!r}: the calibration inputs overflow float32 here; scale the network down"
            )
        relu, peak = dense.activation == "relu", peak * self.recipe.headroom
        layer = fixed_point(chosen, relu, trace.fraction_bits, peak, dense.name)
        tell("measure")
        ratios = {"weight_sqnr_db": weight_sqnr(chosen, layer), **trace.finish(layer, chosen)}
        return layer, layer_report(layer, self.config, **ratios)


def _peak(activations: NDArray[np.float32]) -> float:
    return max(float(activations.max()), -float(activations.min()))
