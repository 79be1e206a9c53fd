"""Compression of a graph: each of its linear maps as a layer, calibration flowing through the rest of the network."""

from __future__ import annotations

from collections.abc import Mapping

from eie.compression.allocation import Density, checked, given_counts
from eie.compression.compensation import Compensated
from eie.compression.gates import groups_of_gates
from eie.compression.graph_losses import GraphLosses
from eie.compression.graph_pass import GraphPass
from eie.compression.graph_products import compact
from eie.compression.recipe import WHOLE
from eie.compression.recording import Recording
from eie.compression.report import CompressionReport
from eie.compression.terms import given_terms
from eie.network.graph_model import GraphModel


class GraphJob(Recording):
    """A graph and all that its compression needs, whatever number of weights its linear maps keep.

    Parameters and errors are those of `Recording`.

    Attributes
    ----------
    vectors, shared_anew
        Of the last run; see `eie.compression.graph_pass.GraphPass`.
    """

    _losses: GraphLosses | None = None
    _last: GraphPass | None = None

    @property
    def vectors(self) -> Mapping[str, int]:
        return self._last.vectors if self._last else {}

    @property
    def shared_anew(self) -> Mapping[str, int]:
        return self._last.shared_anew if self._last else {}

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
            parts = (self.compared, self.nodes, self.fused, self.recorded, self.inputs, self.recipe)
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
        self._last = first
        refitted = self._refit_whole(first) if self.recipe.refit == WHOLE and first.learning else {}
        return GraphPass(self, *numbers, keep_integers, first.learning, refitted).run(name) if refitted else found

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
