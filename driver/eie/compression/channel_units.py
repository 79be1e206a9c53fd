"""Units of channels: what the host multiplies each channel of a layer's inputs by.

One fixed point serves all inputs of a recurrent layer's time step, or of a convolution, and one set of shared values
all weights of a gate. Where channels differ by orders of magnitude, as spectra do, the quiet ones are left a few bits,
and the large weights that they come with leave the weights of the states few values. So each channel is multiplied by a
power of two that brings it near the loudest, and its weights are divided by it: in floats that changes nothing.

Of convolutions depthwise ones gain, whose rows have units: these take the weights up again. Weights of others are
shared among columns of all channels, and would lose more by it than the quiet channels gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eie.network.evaluation import evaluate
from eie.network.graph import Array, Graph, Node
from eie.network.linear_maps import LinearNode, linear_nodes

_SPREAD = 8.0
"""Ratio of the largest channel's peak to the smallest's up to which all channels have one unit."""
_MOST = 15
"""Largest exponent: what is smaller has no bit in the loudest channel's fixed point."""
_DATA, _WEIGHTS = 0, 1
"""Inputs of nodes."""
_CONVOLUTIONS = ("Conv", "ConvTranspose")


def in_channel_units(graph: Graph, samples: Sequence[Mapping[str, Array]]) -> Graph:
    """Return the same graph with the inputs of such nodes in units of their channels, where these differ much.

    Parameters
    ----------
    graph : Graph
        A simple one, see `eie.network.simplify`.
    samples : sequence of mapping of str to ndarray
        The calibration, which says how large each channel is.
    """
    exponents = _exponents(graph, samples)
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
        factors = np.ldexp(given.dtype.type(1), found)
        of_weights = factors
        if node.operator in _CONVOLUTIONS:
            factors = factors.reshape(-1, *[1] * (given.ndim - 2))
            of_weights = np.repeat(factors, len(given) // len(found), axis=0)[:, None]
        constants[units], constants[weights] = factors, given / of_weights
        nodes.append(Node("Mul", (node.inputs[_DATA], units), (data,), {}, units))
        nodes.append(replace(node, inputs=(data, weights, *node.inputs[_WEIGHTS + 1 :])))
    return replace(graph, constants=constants).with_nodes(nodes)


def _exponents(graph: Graph, samples: Sequence[Mapping[str, Array]]) -> dict[str, NDArray[np.intp]]:
    """Return what powers of two the channels are to be multiplied by, by the first output of the nodes that gain."""
    places = {node.outputs[0] for node in graph.nodes}
    taken = {key for key, linear in linear_nodes(graph).items() if key in places and _gains(linear, graph)}
    peaks: dict[str, NDArray[np.float64]] = {}

    def look(node: Node, values: list[Array | None]) -> None:
        key = node.outputs[0]
        x = values[_DATA] if key in taken else None
        if x is not None and x.size:
            axis = 1 if node.operator in _CONVOLUTIONS else x.ndim - 1
            found = np.abs(x).max(axis=tuple(i for i in range(x.ndim) if i != axis)).astype(np.float64)
            peaks[key] = np.maximum(peaks.get(key, 0), found)  # NaN stays

    for inputs in samples if taken else ():
        evaluate(graph, inputs, look)
    found = {key: _exponents_of(of_channels) for key, of_channels in peaks.items()}
    return {key: exponents for key, exponents in found.items() if exponents is not None}


def _exponents_of(peaks: NDArray[np.float64]) -> NDArray[np.intp] | None:
    """Return those of the channels of a node; None if they are much alike, or no numbers."""
    known = peaks[peaks > 0]
    if not np.isfinite(peaks).all() or not len(known) or known.max() <= _SPREAD * known.min():
        return None
    ratios = known.max() / np.where(peaks > 0, peaks, known.max())
    found: NDArray[np.intp] = np.minimum(np.floor(np.log2(ratios)), _MOST).astype(np.intp)
    return found


def _gains(linear: LinearNode, graph: Graph) -> bool:
    """Tell whether a node is a recurrent layer of the array or a depthwise convolution."""
    node = linear.node
    if node.operator not in _CONVOLUTIONS:
        return bool(linear.attributes.get("cell"))
    weights = graph.constants.get(node.inputs[_WEIGHTS])
    if weights is None or linear.grid is not None:
        return False
    channels = len(weights) if node.operator == "ConvTranspose" else linear.attributes["group"] * weights.shape[1]
    return bool(1 < channels == linear.attributes["group"])
