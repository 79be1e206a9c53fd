"""Compression of a graph: each of its linear maps as a layer, calibration flowing through the rest of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eie.compression.allocation import Density, checked, given_counts
from eie.compression.compensation import Compensated
from eie.compression.gates import groups_of_gates
from eie.compression.graph_losses import GraphLosses
from eie.compression.graph_pass import GraphPass, run_samples
from eie.compression.graph_products import Recorder, compact
from eie.compression.recipe import WHOLE, Recipe
from eie.compression.recurrent import scaled_nodes
from eie.compression.refit_nodes import together
from eie.compression.report import CompressionReport
from eie.compression.samples import Sample, in_one
from eie.compression.streamed import Stream
from eie.compression.terms import given_terms
from eie.contract.config import ArrayConfig
from eie.errors import NetworkError
from eie.network.evaluation import evaluate_in_step
from eie.network.graph import Array, Graph, Node
from eie.network.graph_model import GraphModel
from eie.network.linear_maps import fuse_relu


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
        self.sequences: dict[str, tuple[list[Array | None] | None, Array]] = {}
        self.given = in_one(evaluate_in_step(self.graph, samples, self.record))
        # What lies in branches that the calibration does not take stays with the host: its ranges are not known.
        self.nodes = {key: linear for key, linear in self.nodes.items() if key in self.recorded}
        if not self.nodes:
            raise NetworkError("the calibration takes no branch with a linear map; give inputs that do")
        self.names = [name for linear in self.nodes.values() for name in linear.names]
        self.places = {name: i for i, name in enumerate(self.names)}
        self._losses: GraphLosses | None = None
        self.vectors: dict[str, int] = {}
        self.shared_anew: dict[str, int] = {}

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
        if self.recipe.terms == "loss":
            terms = self.losses().terms(counts)
        else:
            terms = given_terms(self.recipe.terms, self.names)
        numbers = dict(zip(self.names, counts, strict=True)), dict(zip(self.names, terms, strict=True))
        first = GraphPass(self, *numbers, keep_integers)
        found = first.run(name)
        self.vectors, self.shared_anew = first.vectors, first.shared_anew
        refitted = self._refit_whole(first) if self.recipe.refit == WHOLE and first.learning else {}
        return GraphPass(self, *numbers, keep_integers, first.learning, refitted).run(name) if refitted else found

    def record(self, node: Node, samples: list[list[Array | None]]) -> list[list[Array]] | None:
        """Compute a node in floats, and keep a sample of its vectors."""
        key = node.outputs[0]
        linear = self.nodes.get(key)
        if linear is None:
            return None
        recorders = self.recorded.get(key)  # those of a loop's steps before
        recorders = recorders or [Recorder(matrix, key in self.fused) for matrix in linear.matrices]
        outputs = run_samples(linear, samples, recorders)
        self.recorded[key] = recorders
        if linear.attributes.get("cell"):
            given = together(linear, [linear.without_weights(values) for values in samples])
            self.sequences[key] = given, np.concatenate([each[0].ravel() for each in outputs])
        return outputs

    def _refit_whole(self, first: GraphPass) -> dict[str, Compensated]:
        """Return the matrices refitted with the network as a whole; none if that does not help."""
        from eie.compression.whole import refit_whole

        trained = [first.learning[name] for name in self.names if name in first.learning]
        groups: list[range] = []
        start = 0
        for linear in self.nodes.values():
            names = [name for name in linear.names if name in first.learning]
            alike = [range(i, i + 1) for i in range(len(names))]
            if linear.attributes.get("cell") and len(names) == len(linear.names):
                alike = groups_of_gates(linear, first.terms, self.recipe.shared_gates)
            groups += [range(start + group.start, start + group.stop) for group in alike]
            start += len(names)
        self.tell(len(self.names) - 1, "refit")
        found = refit_whole(self.graph, self.nodes, self.fused, self.inputs, self.stream, trained, groups, self.recipe)
        return {} if found is None else {part.name: chosen for part, chosen in zip(trained, found, strict=True)}
