"""Whatever a network comes as, read: layers, or a graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from eie.errors import NetworkError
from eie.network.chain import as_chain
from eie.network.dense import Dense
from eie.network.graph import Graph
from eie.network.graph_readers import read_graph
from eie.network.readers import read_network


def read_any(
    network: Any,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
    layers: Sequence[str] | None = None,
    *,
    outputs: Collection[str] | None = None,
    inputs: Mapping[str, ArrayLike] | None = None,
    example: Any = None,
) -> list[Dense] | Graph:
    """Return a network as it is compressed: the layers of a chain, or a graph.

    Parameters
    ----------
    network : path, sequence of Dense, Dense, mapping, Graph, onnx.ModelProto, torch.nn.Module, or ExportedProgram
        A mapping is one of names to arrays, such as a state dict.
        Of a path, the ending says what it is: see `eie.network.readers.read_network`; an .onnx file may also hold a
        graph.
    hidden_activation, last_activation, layers
        As for `eie.network.readers.read_network`.
    outputs : collection of str, optional
        Tensors at which a graph is to end.
    inputs : mapping of str to array_like, optional
        Inputs of a graph that are to be constant.
    example : optional
        Inputs with which a PyTorch module is traced.

    Returns
    -------
    list of Dense, or Graph
        The layers if the network is a chain of fully connected ones that takes (batch, features), else its graph.
    """
    graph = read_graph(network, outputs, inputs, example)
    if graph is None:
        if outputs or inputs:
            raise NetworkError("outputs and inputs are named in graphs only; this network is a list of layers")
        return read_network(network, hidden_activation, last_activation, layers)
    if layers is not None:
        raise NetworkError(f"layers={list(layers)!r} is given, but a graph has an order of its own")
    return as_chain(graph) or graph
