"""Compression of a graph: each of its linear maps as a layer, calibration flowing through the rest of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.allocation import Density, checked, given_counts
from eie.compression.compensation import Compensated, compensate
from eie.compression.exact import exact_product, staged_product
from eie.compression.gates import factors_of_columns, groups_of_gates, joined, parts_of, products_of_gates, stacked
from eie.compression.graph_losses import GraphLosses
from eie.compression.graph_products import FastProduct, FusedProduct, Recorder, compact
from eie.compression.groups import held, is_compensated, spread_out, task_of
from eie.compression.layers import by_magnitude, distinct_weights, fixed_point, is_exact
from eie.compression.recipe import WHOLE, Recipe
from eie.compression.recurrent import gate_format, run_as_the_array, scaled_nodes
from eie.compression.refit_nodes import NodeTask, apart, together
from eie.compression.report import CompressionReport, LayerReport, layer_report, outputs_sqnr_db, sqnr_db
from eie.compression.row_units import VECTORS_FOR_OFFSETS, has_units, in_units, offsets_of_rows, row_units
from eie.compression.samples import Sample, in_one
from eie.compression.scaling import fraction_bits
from eie.compression.streamed import Stream
from eie.compression.terms import given_terms
from eie.compression.trained import Trained, root_mean_squares
from eie.contract.config import ArrayConfig
from eie.errors import NetworkError
from eie.network.evaluation import evaluate_in_step
from eie.network.graph import Array, Graph, Node
from eie.network.graph_model import ArrayProduct, GraphModel, run_products
from eie.network.linear_maps import LinearNode, fuse_relu, merge_chains, without_weights
from eie.network.model import Dense, Model
from eie.network.operators.linear import FloatProduct, Matrix, Product
from eie.network.quantised import Grid, Stage


class GraphJob:
    """A graph and all that its compression needs, whatever number of weights its linear maps keep.

    Each linear map is recorded in the given network, then compressed on what the compressed ones before it give.

    Parameters
    ----------
    graph : Graph
        A simple one, see `eie.network.simplify`.
    samples : sequence of dict of str to ndarray
        The calibration, see `eie.compression.samples`.
    stream : Stream or None
        Where the samples come from, if they are pieces of sequences.
    recipe, config, tell
        As of `eie.compress`.

    Raises
    ------
    NetworkError
        If the graph has no linear map with constant weights, or the calibration reaches none.
    """

    def __init__(
        self,
        graph: Graph,
        samples: Sequence[Sample],
        stream: Stream | None,
        recipe: Recipe,
        config: ArrayConfig,
        tell: Callable[[int, str], None],
    ) -> None:
        self.recipe, self.config, self.tell = recipe, config, tell
        self.inputs, self.stream = samples, stream
        self.graph, self.fused = fuse_relu(graph)
        self.nodes = scaled_nodes(graph, self.graph, samples, recipe.headroom)
        if not self.nodes:
            raise NetworkError(
                "the network multiplies by no constant weights, or only for a logarithm, which the host computes: "
                "nothing of it is for the array"
            )
        self.recorded: dict[str, list[Recorder]] = {}
        self.vectors: dict[str, int] = {}
        self.sequences: dict[str, tuple[list[Array | None] | None, Array]] = {}
        self.given = in_one(evaluate_in_step(self.graph, samples, self.record))
        # What lies in branches that the calibration does not take stays with the host: its ranges are not known.
        self.nodes = {key: linear for key, linear in self.nodes.items() if key in self.recorded}
        if not self.nodes:
            raise NetworkError("the calibration takes no branch with a linear map; give inputs that do")
        self.names = [name for linear in self.nodes.values() for name in linear.names]
        self.places = {name: i for i, name in enumerate(self.names)}
        self._losses: GraphLosses | None = None

    @property
    def samples(self) -> int:
        """Calibration inputs."""
        return sum(max(len(np.atleast_1d(x)) for x in sample.values()) for sample in self.inputs)

    def counts(self, density: Density, least: int = 0) -> list[int | None]:
        """Return how many weights each linear map keeps, at least so many of those that it has."""
        weights = [compact(matrix) for linear in self.nodes.values() for matrix in linear.matrices]
        if self.recipe.allocation != "loss":
            return given_counts(weights, density, self.recipe.allocation, self.names, least)
        share = checked(density, "the network")
        if len(weights) == 1 or share == 1:
            return given_counts(weights, share, "uniform", self.names, least)
        return self.losses().counts(share, [weight.size for weight in weights], self.tell)

    def losses(self) -> GraphLosses:
        """Return what each linear map costs at the outputs."""
        if self._losses is None:
            parts = (self.graph, self.nodes, self.fused, self.recorded, self.inputs, self.recipe)
            self._losses = GraphLosses(*parts, self.stream)
        return self._losses

    def run(self, counts: list[int | None], name: str, keep_integers: bool) -> tuple[GraphModel, CompressionReport]:
        """Compress the linear maps, one after another, to so many weights each; then, if asked to, as a whole."""
        self._ready: dict[str, Compensated] = {}
        first = self._run_once(counts, name, keep_integers)
        if self.recipe.refit != WHOLE or not self._learning:
            return first
        self._ready = self._refit_whole()
        return self._run_once(counts, name, keep_integers) if self._ready else first

    def _run_once(
        self, counts: list[int | None], name: str, keep_integers: bool
    ) -> tuple[GraphModel, CompressionReport]:
        self.keep_integers = keep_integers
        if not self._ready:
            self._learning: dict[str, Trained] = {}
        self.products: dict[str, tuple[ArrayProduct, ...]] = {}
        self._chosen_products: dict[str, list[Product]] = {}
        self.rows: dict[str, list[LayerReport]] = {}
        self.bits: dict[str, int] = {}
        self.stages: dict[str, Stage] = {}
        self.unequal: dict[str, float] = {}
        self.shared_anew: dict[str, int] = {}
        self._chosen: dict[str, Compensated] = {}
        self._gates: dict[str, ArrayProduct] = {}
        self._counts = dict(zip(self.names, counts, strict=True))
        if self.recipe.terms == "loss":
            terms = self.losses().terms(counts)
        else:
            terms = given_terms(self.recipe.terms, self.names)
        self._terms = dict(zip(self.names, terms, strict=True))
        found = in_one(evaluate_in_step(self.graph, self.inputs, self.compress))
        # The compressed network may leave out what the given one computes: another branch, or fewer steps of a loop.
        nodes = {key: linear for key, linear in self.nodes.items() if key in self.products}
        rows = tuple(row for key in nodes for row in self.rows[key])
        report = CompressionReport(rows, outputs_sqnr_db(self.given, found))
        stripped, products = merge_chains(without_weights(self.graph, nodes), self.products, self.stages)
        return GraphModel(stripped, products, name), report

    def record(self, node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
        """Compute a node in floats, and keep a sample of its vectors."""
        key = node.outputs[0]
        linear = self.nodes.get(key)
        if linear is None:
            return None
        recorders = self.recorded.get(key)  # those of a loop's steps before
        recorders = recorders or [Recorder(matrix, key in self.fused) for matrix in linear.matrices]
        outputs = _run(linear, samples, recorders)
        self.recorded[key] = recorders
        if linear.attributes.get("cell"):
            given = together(linear, [linear.without_weights(values) for values in samples])
            self.sequences[key] = given, np.concatenate([each[0].ravel() for each in outputs])
        return outputs

    def compress(self, node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
        """Compress a node's matrices, one after another, and compute it as the array will."""
        key = node.outputs[0]
        linear = self.nodes.get(key)
        if linear is None:
            return None
        if key in self._chosen_products:  # a loop's next step
            return _run(linear, samples, self._chosen_products[key])
        relu = key in self.fused
        current: list[Product] = [FusedProduct(matrix, relu) for matrix in linear.matrices]
        products, self.rows[key] = [], []
        for i, matrix in enumerate(linear.matrices):
            seen = Recorder(matrix, relu)
            current[i] = seen
            _run(linear, samples, current)
            if seen.vectors != self.recorded[key][i].vectors:  # of a loop, whose next steps come once this is chosen
                seen = self.recorded[key][i]
            product = self._product(linear, i, matrix, seen, relu)
            self.rows[key].append(self._report(product, i, key, matrix, seen))
            current[i] = FastProduct(product, matrix.groups)
            products.append(product)
        self.products[key] = tuple(products)
        if len(products) == 1 and products[0].input_scale is None:
            self.bits[key] = products[0].model.output_fraction_bits
        self._chosen_products[key] = current
        if key in self.stages:  # the nodes of the stage still follow, and come to the same integers
            return _run(linear, samples, [FloatProduct(matrix) for matrix in linear.matrices])
        if linear.attributes.get("cell"):
            return self._run_cell(linear, [linear.without_weights(values) for values in samples])
        return _run(linear, samples, current)

    def _product(self, linear: LinearNode, i: int, matrix: Matrix, seen: Recorder, relu: bool) -> ArrayProduct:
        name = linear.names[i]
        tell = partial(self.tell, self.places[name])
        if self.keep_integers and linear.grid is not None:
            own = self._own_integers(linear, matrix, linear.grid, name)
            if own is not None:
                return own
        given = self.recorded[linear.node.outputs[0]][i]
        self.vectors[name] = given.vectors
        given.check(name)
        seen.check(name, compressed=True)
        peak = max(given.input_peak, seen.input_peak)
        units = self._learning[name].units if name in self._ready else self._units(linear, matrix, name, peak)
        if units is not None:
            matrix = in_units(matrix, units)
        row_scales = False if has_units(linear) else self.recipe.row_scales
        if gate_format(linear, i) is not None:
            return self._gate(linear, i, given, seen, tell)
        chosen = self._choose(matrix, [name], given, seen, tell, row_scales)
        self._learn(matrix, [name], given, chosen, units)
        tell("scale")
        known = self.bits.get(linear.data) if len(linear.matrices) == 1 else None
        lows, highs = np.minimum(given.lows, seen.lows), np.maximum(given.highs, seen.highs)
        unit = 1 if units is None else units
        may_have = units is not None and not relu and given.vectors >= VECTORS_FOR_OFFSETS
        offsets, largest = offsets_of_rows(lows / unit, highs / unit, may_have)
        if offsets is not None:
            chosen = replace(chosen, shared_bias=(chosen.shared_bias - offsets).astype(np.float32))
            offsets = offsets * unit
        bits = fraction_bits(peak * self.recipe.headroom) if known is None else known
        layer = fixed_point(chosen, relu, bits, largest * self.recipe.headroom, name, may_be_coarser=known is None)
        model = Model([layer], name)
        if units is None:
            return ArrayProduct(model)
        return ArrayProduct(
            model, 2.0**-layer.input_fraction_bits, units * 2.0**-model.output_fraction_bits, offsets=offsets
        )

    def _gate(
        self, linear: LinearNode, i: int, given: Recorder, seen: Recorder, tell: Callable[[str], None]
    ) -> ArrayProduct:
        """Return the product of a gate. Those that share values are chosen with the first of them."""
        gates = next(group for group in groups_of_gates(linear, self._terms, self.recipe.shared_gates) if i in group)
        if i == gates.start:
            names = linear.names[gates.start : gates.stop]
            matrix = stacked(linear.matrices[gates.start : gates.stop])
            factors = factors_of_columns(linear, i)
            chosen = self._choose(matrix, names, given, seen, tell, self.recipe.row_scales, factors)
            self._learn(matrix, names, given, chosen)
            tell("scale")
            self._gates.update(products_of_gates(linear, gates, parts_of(chosen, len(gates))))
        return self._gates[linear.names[i]]

    def _learn(
        self,
        matrix: Matrix,
        names: Sequence[str],
        given: Recorder,
        chosen: Compensated,
        units: NDArray[np.float64] | None = None,
    ) -> None:
        """Note what a refit as a whole begins with, of a matrix or several below each other, unless nothing is lost."""
        weight = np.asarray(matrix.weight, np.float32)
        counts = [self._counts[name] for name in names]
        count = None if None in counts else sum(count for count in counts if count is not None)
        if self._ready or self.recipe.refit != WHOLE or is_exact(weight, count, self._terms[names[0]]):
            return
        sizes = root_mean_squares(given.samples()[0])
        for name, start in zip(names, parts_of(chosen, len(names)), strict=True):
            self._learning[name] = Trained(name, units, start, self._terms[name], sizes, given.vectors)

    def _refit_whole(self) -> dict[str, Compensated]:
        """Return the matrices refitted with the network as a whole; none if that does not help."""
        from eie.compression.whole import refit_whole

        trained = [self._learning[name] for name in self.names if name in self._learning]
        groups: list[range] = []
        start = 0
        for linear in self.nodes.values():
            names = [name for name in linear.names if name in self._learning]
            alike = [range(i, i + 1) for i in range(len(names))]
            if linear.attributes.get("cell") and len(names) == len(linear.names):
                alike = groups_of_gates(linear, self._terms, self.recipe.shared_gates)
            groups += [range(start + group.start, start + group.stop) for group in alike]
            start += len(names)
        self.tell(len(self.names) - 1, "refit")
        found = refit_whole(self.graph, self.nodes, self.fused, self.inputs, self.stream, trained, groups, self.recipe)
        return {} if found is None else {part.name: chosen for part, chosen in zip(trained, found, strict=True)}

    def _run_cell(self, linear: LinearNode, samples: list[list[Array | None]]) -> list[list[Array]]:
        """Compute a recurrent node as the array will, its gates refitted through time where they were chosen."""
        key, names = linear.node.outputs[0], linear.names
        (given, wanted), seen = self.sequences[key], together(linear, samples)
        if given is None or seen is None:  # sequences of several lengths
            return [run_as_the_array(linear, values, self.products[key]) for values in samples]
        task = NodeTask(linear, given, seen, 1 if self.stream is None else self.stream.pieces)
        found = None
        if self.recipe.refit and not self._ready and all(name in self._chosen for name in names):
            self.tell(self.places[names[-1]], "refit")
            found = task.refit(
                [self._chosen[name] for name in names], [self._terms[name] for name in names], self.recipe
            )
        if found is not None:
            for gates in groups_of_gates(linear, self._terms, self.recipe.shared_gates):
                self._gates.update(products_of_gates(linear, gates, found[gates.start : gates.stop]))
            self.products[key] = tuple(self._gates[name] for name in names)
            known = [(name, chosen) for name, chosen in zip(names, found, strict=True) if name in self._learning]
            self._learning.update((name, replace(self._learning[name], start=chosen)) for name, chosen in known)
        outputs = apart(linear, task.outputs(self.products[key]), samples)
        if found is not None:  # a gate alone need no longer give what it did; the layer must
            ratio = sqnr_db(wanted, np.concatenate([each[0].ravel() for each in outputs]))
            layers = [product.model.layers[0] for product in self.products[key]]
            self.rows[key] = [layer_report(layer, self.config, output_sqnr_db=ratio) for layer in layers]
        return outputs

    def _units(self, linear: LinearNode, matrix: Matrix, name: str, peak: float) -> NDArray[np.float64] | None:
        """Return the units of a matrix's rows, where these may have units and lose something at all."""
        if not has_units(linear):
            return None
        exact = is_exact(np.asarray(matrix.weight, np.float32), self._counts[name], self._terms[name])
        return None if exact else row_units(matrix, self._terms[name], peak)

    def _own_integers(self, linear: LinearNode, matrix: Matrix, grid: Grid, name: str) -> ArrayProduct | None:
        """Return a product in a quantised network's own integers: best with its stage, if all outputs are equal."""
        terms, stage = self._terms[name], linear.stage
        staged = staged_product(matrix, grid, stage, terms, name) if stage else None
        if staged is None or staged[1]:
            exact = exact_product(matrix, grid, name)
            if exact is not None:
                return exact
        if stage is None or staged is None:
            return None
        self.stages[linear.node.outputs[0]] = stage
        product, self.unequal[name] = staged
        return product

    def _choose(
        self,
        matrix: Matrix,
        names: Sequence[str],
        given: Recorder,
        seen: Recorder,
        tell: Callable[[str], None],
        row_scales: bool | None,
        factors: NDArray[np.float32] | None = None,
    ) -> Compensated:
        """Choose the weights, shared values and biases of a matrix, or of several below each other."""
        if names[0] in self._ready:
            return joined([self._ready[name] for name in names])
        tell("prune")
        weight, effort = np.asarray(matrix.weight, np.float32), self.recipe.effort
        bias = None if matrix.bias is None else np.asarray(matrix.bias, np.float32)
        name, counts = names[0], [self._counts[name] for name in names]
        count = None if None in counts else sum(count for count in counts if count is not None)
        terms = self._terms[name]
        exact = is_exact(weight, count, terms)
        if count is None and terms == 1 and not exact:
            self.shared_anew[name] = distinct_weights(weight)
        if exact or not is_compensated(matrix, effort) or self.recipe.method != "compensated":
            return by_magnitude(Dense(weight, bias, name=name), count, self.recipe.sharing, tell, terms, factors)
        before, inputs = given.samples()[0], seen.samples()[0]
        inputs = before if np.array_equal(before, inputs) else inputs
        task = task_of(matrix, before, inputs, np.ones(len(weight)), effort)
        options = (self.recipe.sharing, effort, tell, terms, row_scales)
        found = spread_out(compensate(task, held(matrix, effort), count, *options), matrix)
        self._chosen.update(zip(names, parts_of(found, len(names)), strict=True))
        return found

    def _report(self, product: ArrayProduct, i: int, key: str, matrix: Matrix, seen: Recorder) -> LayerReport:
        (layer,) = product.model.layers
        self.tell(self.places[self.nodes[key].names[i]], "measure")
        wanted = self.recorded[key][i].samples()[1]
        if key in self.stages:
            wanted = self.stages[key].of(wanted)
        gate = gate_format(self.nodes[key], i)
        if gate is not None:  # further out, sigmoid and tanh are flat
            wanted = np.clip(wanted, -gate[1], gate[1])
        got = FastProduct(product, matrix.groups)(seen.samples()[0])
        found = layer_report(layer, self.config, output_sqnr_db=sqnr_db(wanted, got))
        return replace(found, unequal=self.unequal.get(self.nodes[key].names[i]))


def _run(linear: LinearNode, samples: list[list[Array | None]], products: Any) -> list[list[Array]]:
    return [run_products(linear.with_attributes(), linear.without_weights(values), products) for values in samples]
