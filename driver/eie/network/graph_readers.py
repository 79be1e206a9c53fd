"""Readers of graphs: ONNX files and models, PyTorch modules, files of Deep Compression."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from eie.errors import NetworkError
from eie.network.batch import open_batch
from eie.network.chain import as_chain
from eie.network.deep_compression import read_net
from eie.network.dense import Dense
from eie.network.graph import Graph
from eie.network.simplify import simplify
from eie.network.torch_reader import check_export, is_torch, torch_to_onnx


def read_graph(
    source: Any,
    outputs: Collection[str] | None = None,
    inputs: Mapping[str, ArrayLike] | None = None,
    example: Any = None,
) -> Graph | None:
    """Return a network's graph, simplified, or None if the source is no graph but layers; see `read_any`."""
    if is_torch(source):
        graph = read_graph(torch_to_onnx(source, example), outputs, inputs)
        if graph is not None and outputs is None and inputs is None:
            check_export(source, example, graph)
        return graph
    if isinstance(source, Graph):
        return open_batch(simplify(source))
    is_path = isinstance(source, (str, Path))
    if is_path and Path(source).suffix.lower() == ".net":
        return open_batch(simplify(read_net(Path(source))))
    if not (is_path and Path(source).suffix.lower() == ".onnx") and type(source).__name__ != "ModelProto":
        return None
    if is_path and not Path(source).is_file():
        raise NetworkError(f"{source}: no such file")
    from eie.network.onnx_reader import read_onnx

    graph = read_onnx(Path(source) if is_path else source, outputs, inputs)
    try:
        return open_batch(simplify(graph))
    except NetworkError as error:
        raise NetworkError(f"{source}: {error}" if is_path else str(error)) from error


def read_chain(path: Path) -> list[Dense]:
    """Return the layers of a graph's file that comes to one chain of them; see `eie.network.readers.read_network`."""
    graph = read_graph(path)
    layers = as_chain(graph) if graph else None
    if layers is None:
        raise NetworkError(f"{path}: the network is more than a chain of fully connected layers")
    return layers
