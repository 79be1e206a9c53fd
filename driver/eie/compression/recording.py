"""What goes through the linear maps of a given network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eie.compression.compared import comparable
from eie.compression.graph_products import Recorder
from eie.compression.recipe import Recipe
from eie.compression.recurrent import scaled_nodes
from eie.compression.refit_nodes import together
from eie.compression.samples import Sample
from eie.compression.streamed import Stream
from eie.contract.config import ArrayConfig
from eie.errors import NetworkError
from eie.network.evaluation import evaluate_in_step
from eie.network.graph import Array, Graph, Node
from eie.network.graph_model import run_products
from eie.network.linear_maps import LinearNode, fuse_relu


class Recording:
    """A graph computed in floats on its calibration, with a record of what goes through its linear maps.

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
        self.compared = comparable(self.graph)
        self.given = evaluate_in_step(self.compared, samples, self.record)
        # What lies in branches that the calibration does not take stays with the host: its ranges are not known.
        self.nodes = {key: linear for key, linear in self.nodes.items() if key in self.recorded}
        if not self.nodes:
            raise NetworkError("the calibration takes no branch with a linear map; give inputs that do")
        self.names = [name for linear in self.nodes.values() for name in linear.names]
        self.places = {name: i for i, name in enumerate(self.names)}

    @property
    def samples(self) -> int:
        """Calibration inputs."""
        return sum(max(len(np.atleast_1d(x)) for x in sample.values()) for sample in self.inputs)

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


def run_samples(linear: LinearNode, samples: list[list[Array | None]], products: Any) -> list[list[Array]]:
    """Compute a linear map in each sample by such products."""
    return [run_products(linear.with_attributes(), linear.without_weights(values), products) for values in samples]
