"""Compression of a graph: each of its linear maps as a layer, calibration flowing through the rest of the network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.allocation import Density, given_counts
from eie.compression.compensation import Compensated, compensate
from eie.compression.exact import exact_product
from eie.compression.forward import forward_integer
from eie.compression.layers import by_magnitude, fixed_point, is_exact, plain_density
from eie.compression.least_squares import least_squares
from eie.compression.recipe import Recipe
from eie.compression.report import CompressionReport, LayerReport, layer_report, sqnr_db
from eie.compression.scaling import fraction_bits
from eie.compression.terms import given_terms
from eie.compression.warning import USEFUL_DB
from eie.contract.config import ArrayConfig
from eie.errors import AccuracyWarning, NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Node
from eie.network.graph_model import ArrayProduct, GraphModel, named_inputs, run_products
from eie.network.linear_maps import LinearNode, fuse_relu, linear_nodes, merge_chains, without_weights
from eie.network.model import Dense, Model
from eie.network.operators.linear import FloatProduct, Matrix, Product

SAMPLED_VECTORS = 4096
"""Vectors of a linear map, spread over the calibration, that compensation and the report see; ranges come from all."""
COMPENSATED_COLUMNS = 4096
"""Most columns that are compensated for: the effort grows with their cube."""
_SYNTHETIC_SAMPLES = 64


def compress_graph(
    graph: Graph,
    density: Density,
    calibration: Any,
    recipe: Recipe,
    config: ArrayConfig,
    name: str,
    progress: Callable[[int, str], None] | None = None,
) -> GraphModel:
    """Compress the linear maps of a graph; see `eie.compress`.

    Parameters
    ----------
    graph : Graph
        A simple one, see `eie.network.simplify`.
    density, calibration, config, name, progress
        As of `eie.compress`.
    recipe : Recipe

    Raises
    ------
    NetworkError
        If the graph has no linear map with constant weights, or the calibration reaches none.
    """
    if recipe.allocation == "loss":
        raise NetworkError('allocation="loss" is for chains of layers; of a graph "uniform" and "magnitude" are known')
    inputs = graph_calibration(graph, calibration)
    graph, fused = fuse_relu(graph)
    nodes = linear_nodes(graph)
    if not nodes:
        raise NetworkError("the network multiplies by no constant weights: nothing of it is for the array")
    job = _Job(nodes, fused, density, recipe, config, progress or (lambda layer, stage: None))
    evaluate(graph, inputs, job.record)
    # What lies in branches that the calibration does not take stays with the host: its ranges are not known.
    nodes = {key: linear for key, linear in nodes.items() if key in job.recorded}
    if not nodes:
        raise NetworkError("the calibration takes no branch with a linear map; give inputs that do")
    evaluate(graph, inputs, job.compress)
    report = CompressionReport(tuple(row for key in nodes for row in job.rows[key]))
    _warn(report)
    stripped, products = merge_chains(without_weights(graph, nodes), job.products)
    about = {
        "density": plain_density(density),
        **asdict(recipe),
        "calibration": {
            "samples": max(len(np.atleast_1d(x)) for x in inputs.values()),
            "source": "given" if calibration is not None else "standard normal",
        },
        "array": config.to_dict(),
    }
    return GraphModel(stripped, products, name, {"compression": {**about, **report.to_dict()}})


def graph_calibration(graph: Graph, calibration: Any, samples: int = _SYNTHETIC_SAMPLES) -> dict[str, Array]:
    """Return a graph's inputs for calibration: those given, or standard normal values of its shapes.

    Raises
    ------
    NetworkError
        If none are given and the graph leaves more than its batch open, or takes other than floats.
    """
    if calibration is not None:
        return named_inputs(graph, calibration)
    rng = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for value in graph.inputs:
        unknown = {size for size in value.shape or () if not isinstance(size, int)}
        if value.shape is None or len(unknown) > 1 or np.dtype(value.dtype).kind != "f":
            raise NetworkError(f"input {value} leaves open what typical inputs are; give calibration inputs")
        shape = [size if isinstance(size, int) else samples for size in value.shape]
        found[value.name] = rng.standard_normal(shape).astype(value.dtype)
    return found


def _warn(report: CompressionReport) -> None:
    last = report.layers[-1]
    if last.output_sqnr_db is not None and last.output_sqnr_db < USEFUL_DB:
        warnings.warn(
            f"the compressed network no longer computes what the given one did: the outputs of {last.name!r} have an "
            f"SQNR of {last.output_sqnr_db:.1f} dB on the calibration inputs (below {USEFUL_DB:g}); keep more weights, "
            "or give more calibration inputs",
            AccuracyWarning,
            stacklevel=4,
        )


class _Job:
    """Records each linear map in the given network, then compresses it on what the compressed ones before it give."""

    def __init__(
        self,
        nodes: dict[str, LinearNode],
        fused: set[str],
        density: Density,
        recipe: Recipe,
        config: ArrayConfig,
        tell: Callable[[int, str], None],
    ) -> None:
        self.nodes, self.fused, self.recipe, self.config, self.tell = nodes, fused, recipe, config, tell
        self.recorded: dict[str, list[_Recorder]] = {}
        self.products: dict[str, tuple[ArrayProduct, ...]] = {}
        self.rows: dict[str, list[LayerReport]] = {}
        self.bits: dict[str, int] = {}
        self.keep_integers = density is None
        compact = [_compact(matrix) for linear in nodes.values() for matrix in linear.matrices]
        names = [name for linear in nodes.values() for name in linear.names]
        self.counts = dict(zip(names, given_counts(compact, density, recipe.allocation, names), strict=True))
        self.terms = dict(zip(names, given_terms(recipe.terms, names), strict=True))
        self.places = {name: i for i, name in enumerate(names)}

    def record(self, node: Node, values: list[Array | None]) -> list[Array] | None:
        """Compute a node in floats, and keep a sample."""
        linear = self.nodes.get(node.outputs[0])
        if linear is None:
            return None
        recorders = [_Recorder(matrix, node.outputs[0] in self.fused) for matrix in linear.matrices]
        outputs = self._run(linear, values, recorders)
        self.recorded[node.outputs[0]] = recorders
        return outputs

    def compress(self, node: Node, values: list[Array | None]) -> list[Array] | None:
        """Compress a node's matrices, one after another, and compute it as the array will."""
        key = node.outputs[0]
        linear = self.nodes.get(key)
        if linear is None:
            return None
        relu = key in self.fused
        current: list[Product] = [FloatProduct(matrix) for matrix in linear.matrices]
        if relu:
            current = [_Recorder(matrix, relu) for matrix in linear.matrices]
        products, self.rows[key] = [], []
        for i, matrix in enumerate(linear.matrices):
            seen = _Recorder(matrix, relu)
            current[i] = seen
            self._run(linear, values, current)
            product = self._product(linear, i, matrix, seen, relu)
            self.rows[key].append(self._report(product, i, key, matrix, seen))
            current[i] = _FastProduct(product)
            products.append(product)
        self.products[key] = tuple(products)
        if len(products) == 1 and products[0].input_scale is None:
            self.bits[key] = products[0].model.output_fraction_bits
        return self._run(linear, values, current)

    def _run(self, linear: LinearNode, values: list[Array | None], products: Any) -> list[Array]:
        data = [None if i in linear.weights else x for i, x in enumerate(values)]
        return run_products(replace(linear.node, attributes=linear.attributes), data, products)

    def _product(self, linear: LinearNode, i: int, matrix: Matrix, seen: _Recorder, relu: bool) -> ArrayProduct:
        name = linear.names[i]
        tell = partial(self.tell, self.places[name])
        if self.keep_integers and linear.grid is not None:
            exact = exact_product(matrix, linear.grid, name)
            if exact is not None:
                return exact
        given = self.recorded[linear.node.outputs[0]][i]
        given.check(name)
        chosen = self._choose(matrix, name, given, seen, tell)
        known = self.bits.get(linear.data) if len(linear.matrices) == 1 else None
        peaks = (max(given.input_peak, seen.input_peak), max(given.output_peak, seen.output_peak))
        bits = fraction_bits(peaks[0] * self.recipe.headroom) if known is None else known
        tell("scale")
        layer = fixed_point(chosen, relu, bits, peaks[1] * self.recipe.headroom, name)
        return ArrayProduct(Model([layer], name))

    def _choose(
        self, matrix: Matrix, name: str, given: _Recorder, seen: _Recorder, tell: Callable[[str], None]
    ) -> Compensated:
        """Choose a matrix's weights, shared values and biases."""
        tell("prune")
        weight = np.asarray(matrix.weight, np.float32)
        bias = None if matrix.bias is None else np.asarray(matrix.bias, np.float32)
        count, terms = self.counts[name], self.terms[name]
        few = weight.shape[1] > COMPENSATED_COLUMNS or is_exact(weight, count, terms)
        if few or self.recipe.method != "compensated":
            return by_magnitude(Dense(weight, bias, name=name), count, self.recipe.sharing, tell, terms)
        before, inputs = given.samples()[0], seen.samples()[0]
        inputs = before if np.array_equal(before, inputs) else inputs
        task = least_squares(weight, bias, before, inputs, np.ones(len(weight)))
        return compensate(task, weight, count, self.recipe.sharing, self.recipe.effort, tell, terms)

    def _report(self, product: ArrayProduct, i: int, key: str, matrix: Matrix, seen: _Recorder) -> LayerReport:
        (layer,) = product.model.layers
        self.tell(self.places[self.nodes[key].names[i]], "measure")
        wanted = self.recorded[key][i].samples()[1]
        got = _FastProduct(product)(seen.samples()[0])
        return layer_report(layer, self.config, output_sqnr_db=sqnr_db(wanted, got))


class _Recorder(FloatProduct):
    """A float product that remembers the range of what goes through it, and a sample."""

    def __init__(self, matrix: Matrix, relu: bool) -> None:
        super().__init__(matrix)
        self.relu = relu
        self.input_peak = self.output_peak = 0.0
        self._inputs: list[Array] = []
        self._outputs: list[Array] = []
        self._kept = 0

    def __call__(self, vectors: Array) -> Array:
        outputs = super().__call__(vectors)
        shown: Array = np.maximum(outputs, 0) if self.relu else outputs
        if vectors.size:
            self.input_peak = max(self.input_peak, float(np.abs(vectors).max()))
            self.output_peak = max(self.output_peak, float(np.abs(shown).max()))
        if self._kept < SAMPLED_VECTORS:
            step = max(1, -(-len(vectors) // SAMPLED_VECTORS))
            self._inputs.append(np.asarray(vectors[::step], np.float32))
            self._outputs.append(np.asarray(shown[::step], np.float32))
            self._kept += len(self._inputs[-1])
        return shown

    def samples(self) -> tuple[Array, Array]:
        """Return inputs and outputs, shapes (n, C) and (n, R)."""
        return np.concatenate(self._inputs), np.concatenate(self._outputs)

    def check(self, name: str) -> None:
        """Raise `NetworkError` if the calibration leaves float32 here."""
        if not (np.isfinite(self.input_peak) and np.isfinite(self.output_peak)):
            raise NetworkError(f"layer {name!r}: the calibration holds or causes infinity or NaN here")


class _FastProduct(Product):
    """An `IntegerProduct` that multiplies dense matrices: equal, and faster for many vectors."""

    def __init__(self, product: ArrayProduct) -> None:
        self.product = product
        self.weights = [layer.dense_integers() for layer in product.model.layers]

    def __call__(self, vectors: Array) -> Array:
        integers = self.product.to_integers(vectors)
        for layer, weights in zip(self.product.model.layers, self.weights, strict=True):
            integers = forward_integer(integers, weights, layer)
        return self.product.to_floats(integers)


def _compact(matrix: Matrix) -> NDArray[np.float32]:
    """Return a matrix without the places where its operator has no weights: as many are left in every row."""
    weight = np.asarray(matrix.weight, np.float32)
    if not np.isfinite(weight).all():
        raise NetworkError("a weight is NaN or infinite")
    return weight if matrix.mask is None else weight[matrix.mask].reshape(len(weight), -1)
