"""One pass of compression through a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from eie.compression.compared import outputs_sqnr_db
from eie.compression.compensation import Compensated, compensate
from eie.compression.exact import exact_product, staged_product
from eie.compression.gates import factors_of_columns, groups_of_gates, joined, parts_of, products_of_gates, stacked
from eie.compression.graph_products import FastProduct, FusedProduct, Recorder
from eie.compression.groups import held, is_compensated, spread_out, task_of
from eie.compression.layers import by_magnitude, distinct_weights, fixed_point, is_exact
from eie.compression.recipe import WHOLE
from eie.compression.recording import Recording, run_samples
from eie.compression.recurrent import gate_format, run_as_the_array
from eie.compression.refit_nodes import NodeTask, apart, together
from eie.compression.report import CompressionReport, LayerReport, layer_report, sqnr_db
from eie.compression.row_units import VECTORS_FOR_OFFSETS, has_units, in_units, offsets_of_rows, row_units
from eie.compression.scaling import fraction_bits
from eie.compression.trained import Trained, root_mean_squares
from eie.network.evaluation import evaluate_in_step
from eie.network.graph import Array, Node
from eie.network.graph_model import ArrayProduct, GraphModel
from eie.network.linear_maps import LinearNode, merge_chains, without_weights
from eie.network.model import Dense, Model
from eie.network.operators.linear import FloatProduct, Matrix, Product
from eie.network.quantised import Grid, Stage


class GraphPass:
    """A walk through a graph in which its linear maps are compressed, one after another.

    Each is fitted to what the given network puts out, on the inputs that the compressed ones before it give.

    Parameters
    ----------
    job : Recording
    counts : mapping of str to int or None
        Weights that each linear map keeps; None: its own zeros.
    terms : mapping of str to int
    keep_integers : bool
        Whether a quantised network keeps its own integers.
    learning, ready : mapping of str to Trained, and to Compensated
        Of an earlier pass, what a refit as a whole began with, and what came of it.

    Attributes
    ----------
    learning : dict of str to Trained
        What a refit as a whole may begin with.
    vectors : dict of str to int
        How many each linear map was given.
    shared_anew : dict of str to int
        Linear maps that were to keep their own zeros and have more values than their codebooks hold, and how many.
    """

    def __init__(
        self,
        job: Recording,
        counts: Mapping[str, int | None],
        terms: Mapping[str, int],
        keep_integers: bool,
        learning: Mapping[str, Trained] | None = None,
        ready: Mapping[str, Compensated] | None = None,
    ) -> None:
        self.job, self.recipe, self.counts, self.terms = job, job.recipe, counts, terms
        self.keep_integers = keep_integers
        self.learning, self._ready = dict(learning or {}), ready or {}
        self.vectors: dict[str, int] = {}
        self.shared_anew: dict[str, int] = {}
        self._products: dict[str, tuple[ArrayProduct, ...]] = {}
        self._current: dict[str, list[Product]] = {}
        self._rows: dict[str, list[LayerReport]] = {}
        self._bits: dict[str, int] = {}
        self._stages: dict[str, Stage] = {}
        self._unequal: dict[str, float] = {}
        self._chosen: dict[str, Compensated] = {}
        self._gates: dict[str, ArrayProduct] = {}

    def run(self, name: str) -> tuple[GraphModel, CompressionReport]:
        """Return the compressed graph by this name, and what became of its layers."""
        job = self.job
        found = evaluate_in_step(job.compared, job.inputs, self._compress)
        # The compressed network may leave out what the given one computes: another branch, or fewer steps of a loop.
        nodes = {key: linear for key, linear in job.nodes.items() if key in self._products}
        rows = tuple(row for key in nodes for row in self._rows[key])
        report = CompressionReport(rows, outputs_sqnr_db(job.given, found))
        stripped, products = merge_chains(without_weights(job.graph, nodes), self._products, self._stages)
        return GraphModel(stripped, products, name), report

    def _compress(self, node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
        """Compress a node's matrices, one after another, and compute it as the array will."""
        key = node.outputs[0]
        linear = self.job.nodes.get(key)
        if linear is None:
            return None
        if key in self._current:  # a loop's next step
            return run_samples(linear, samples, self._current[key])
        relu = key in self.job.fused
        current: list[Product] = [FusedProduct(matrix, relu) for matrix in linear.matrices]
        products, self._rows[key] = [], []
        for i, matrix in enumerate(linear.matrices):
            seen = Recorder(matrix, relu)
            current[i] = seen
            run_samples(linear, samples, current)
            if (
                seen.vectors != self.job.recorded[key][i].vectors
            ):  # of a loop, whose next steps come once this is chosen
                seen = self.job.recorded[key][i]
            product = self._product(linear, i, matrix, seen, relu)
            self._rows[key].append(self._report(product, i, key, matrix, seen))
            current[i] = FastProduct(product, matrix.groups)
            products.append(product)
        self._products[key], self._current[key] = tuple(products), current
        if len(products) == 1 and products[0].input_scale is None:
            self._bits[key] = products[0].model.output_fraction_bits
        if key in self._stages:  # the nodes of the stage still follow, and come to the same integers
            return run_samples(linear, samples, [FloatProduct(matrix) for matrix in linear.matrices])
        if linear.attributes.get("cell"):
            return self._run_cell(linear, [linear.without_weights(values) for values in samples])
        return run_samples(linear, samples, current)

    def _product(self, linear: LinearNode, i: int, matrix: Matrix, seen: Recorder, relu: bool) -> ArrayProduct:
        name = linear.names[i]
        tell = partial(self.job.tell, self.job.places[name])
        if self.keep_integers and linear.grid is not None:
            own = self._own_integers(linear, matrix, linear.grid, name)
            if own is not None:
                return own
        given = self.job.recorded[linear.node.outputs[0]][i]
        self.vectors[name] = given.vectors
        given.check(name)
        seen.check(name, compressed=True)
        peak = max(given.input_peak, seen.input_peak)
        units = self.learning[name].units if name in self._ready else self._units(linear, matrix, name, peak)
        if units is not None:
            matrix = in_units(matrix, units)
        row_scales = False if has_units(linear) else self.recipe.row_scales
        if gate_format(linear, i) is not None:
            return self._gate(linear, i, given, seen, tell)
        chosen = self._choose(matrix, [name], given, seen, tell, row_scales)
        self._learn(matrix, [name], given, chosen, units)
        tell("scale")
        known = self._bits.get(linear.data) if len(linear.matrices) == 1 else None
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
        gates = next(group for group in groups_of_gates(linear, self.terms, self.recipe.shared_gates) if i in group)
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
        counts = [self.counts[name] for name in names]
        count = None if None in counts else sum(count for count in counts if count is not None)
        if self._ready or self.recipe.refit != WHOLE or is_exact(weight, count, self.terms[names[0]]):
            return
        sizes = root_mean_squares(given.samples()[0])
        for name, start in zip(names, parts_of(chosen, len(names)), strict=True):
            self.learning[name] = Trained(name, units, start, self.terms[name], sizes, given.vectors)

    def _run_cell(self, linear: LinearNode, samples: list[list[Array | None]]) -> list[list[Array]]:
        """Compute a recurrent node as the array will, its gates refitted through time where they were chosen."""
        key, names = linear.node.outputs[0], linear.names
        (given, wanted), seen = self.job.sequences[key], together(linear, samples)
        if given is None or seen is None:  # sequences of several lengths
            return [run_as_the_array(linear, values, self._products[key]) for values in samples]
        task = NodeTask(linear, given, seen, 1 if self.job.stream is None else self.job.stream.pieces)
        found = None
        if self.recipe.refit and not self._ready and all(name in self._chosen for name in names):
            self.job.tell(self.job.places[names[-1]], "refit")
            found = task.refit(
                [self._chosen[name] for name in names], [self.terms[name] for name in names], self.recipe
            )
        if found is not None:
            for gates in groups_of_gates(linear, self.terms, self.recipe.shared_gates):
                self._gates.update(products_of_gates(linear, gates, found[gates.start : gates.stop]))
            self._products[key] = tuple(self._gates[name] for name in names)
            known = [(name, chosen) for name, chosen in zip(names, found, strict=True) if name in self.learning]
            self.learning.update((name, replace(self.learning[name], start=chosen)) for name, chosen in known)
        outputs = apart(linear, task.outputs(self._products[key]), samples)
        if found is not None:  # a gate alone need no longer give what it did; the layer must
            ratio = sqnr_db(wanted, np.concatenate([each[0].ravel() for each in outputs]))
            layers = [product.model.layers[0] for product in self._products[key]]
            self._rows[key] = [layer_report(layer, self.job.config, output_sqnr_db=ratio) for layer in layers]
        return outputs

    def _units(self, linear: LinearNode, matrix: Matrix, name: str, peak: float) -> NDArray[np.float64] | None:
        """Return the units of a matrix's rows, where these may have units and lose something at all."""
        if not has_units(linear):
            return None
        exact = is_exact(np.asarray(matrix.weight, np.float32), self.counts[name], self.terms[name])
        return None if exact else row_units(matrix, self.terms[name], peak)

    def _own_integers(self, linear: LinearNode, matrix: Matrix, grid: Grid, name: str) -> ArrayProduct | None:
        """Return a product in a quantised network's own integers: best with its stage, if all outputs are equal."""
        terms, stage = self.terms[name], linear.stage
        staged = staged_product(matrix, grid, stage, terms, name) if stage else None
        if staged is None or staged[1]:
            exact = exact_product(matrix, grid, name)
            if exact is not None:
                return exact
        if stage is None or staged is None:
            return None
        self._stages[linear.node.outputs[0]] = stage
        product, self._unequal[name] = staged
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
        name, counts = names[0], [self.counts[name] for name in names]
        count = None if None in counts else sum(count for count in counts if count is not None)
        terms = self.terms[name]
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
        self.job.tell(self.job.places[self.job.nodes[key].names[i]], "measure")
        wanted = self.job.recorded[key][i].samples()[1]
        if key in self._stages:
            wanted = self._stages[key].of(wanted)
        gate = gate_format(self.job.nodes[key], i)
        if gate is not None:  # further out, sigmoid and tanh are flat
            wanted = np.clip(wanted, -gate[1], gate[1])
        got = FastProduct(product, matrix.groups)(seen.samples()[0])
        found = layer_report(layer, self.job.config, output_sqnr_db=sqnr_db(wanted, got))
        return replace(found, unequal=self._unequal.get(self.job.nodes[key].names[i]))
