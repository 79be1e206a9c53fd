"""Units of channels: what the host multiplies each channel of a recurrent layer's inputs by.

One fixed point serves all inputs of a time step, and one set of shared values all weights of a gate. Where channels
differ by orders of magnitude, as spectra do, the quiet ones are left a few bits, and the large weights that they come
with leave the weights of the states few values. So each channel is multiplied by a power of two that brings it near the
loudest, and its weights are divided by it: in floats that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Node
from eie.network.linear_maps import linear_nodes

_SPREAD = 8.0
"""Ratio of the largest channel's peak to the smallest's up to which all channels have one unit."""
_MOST = 15
"""Largest exponent: what is smaller has no bit in the loudest channel's fixed point."""
_DATA, _WEIGHTS = 0, 1
"""Inputs of recurrent nodes."""


def in_channel_units(graph: Graph, inputs: Mapping[str, Array]) -> Graph:
    """Return the same graph with the inputs of recurrent nodes in units of their channels, where these differ much.

    Parameters
    ----------
    graph : Graph
        A simple one, see `eie.network.simplify`.
    inputs : mapping of str to ndarray
        The calibration, which says how large each channel is.
    """
    exponents = _exponents(graph, inputs)
    if not exponents:
        return graph
    nodes: list[Node] = []
    constants = dict(graph.constants)
    for node in graph.nodes:
        found = exponents.get(node.outputs[0])
        if found is None:
            nodes.append(node)
            continue
        units, data, weights = (f"{node.outputs[0]}/{what}" for what in ("units", "in units", "weights in units"))
        given = graph.constants[node.inputs[_WEIGHTS]]
        constants[units] = np.ldexp(given.dtype.type(1), found)
        constants[weights] = given / constants[units]
        nodes.append(Node("Mul", (node.inputs[_DATA], units), (data,), {}, units))
        nodes.append(replace(node, inputs=(data, weights, *node.inputs[_WEIGHTS + 1 :])))
    return replace(graph, constants=constants).with_nodes(nodes)


def _exponents(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, NDArray[np.intp]]:
    """Return what powers of two the channels are to be multiplied by, by the first output of the nodes that gain."""
    places = {node.outputs[0] for node in graph.nodes}
    cells = {key for key, linear in linear_nodes(graph).items() if linear.attributes.get("cell") and key in places}
    found: dict[str, NDArray[np.intp]] = {}

    def look(node: Node, values: list[Array | None]) -> None:
        x = values[_DATA] if node.outputs[0] in cells else None
        if x is None or not x.size or not np.isfinite(x).all():
            return
        peaks = np.abs(x).max(axis=tuple(range(x.ndim - 1))).astype(np.float64)
        known = peaks[peaks > 0]
        if len(known) and known.max() > _SPREAD * known.min():
            ratios = known.max() / np.where(peaks > 0, peaks, known.max())
            found[node.outputs[0]] = np.minimum(np.floor(np.log2(ratios)), _MOST).astype(np.intp)

    if cells:
        evaluate(graph, inputs, look)
    return found
