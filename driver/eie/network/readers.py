"""Readers of layers: lists of `Dense`, .npz, .safetensors and .onnx files; `eie.network.sources` reads graphs too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import real_array
from eie.errors import LayerError, MissingExtraError, NetworkError
from eie.network.dense import Dense
from eie.network.layer_order import order_of_layers
from eie.network.limits import LINES_LIMIT, NONZEROS_LIMIT, fitting_name
from eie.network.npz import npz_headers, read_npz, readable

_Parts = dict[str, NDArray[Any]]
_KINDS = {"weight": "weight", "weights": "weight", "w": "weight", "bias": "bias", "biases": "bias", "b": "bias"}
_NAME = re.compile(r"(?P<prefix>|.*[._/-])(?P<kind>weights?|bias(?:es)?|w|b)(?P<suffix>[._/-]?\d*)", re.IGNORECASE)


def read_network(
    network: Sequence[Dense] | Dense | Mapping[str, Any] | str | Path,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
    layers: Sequence[str] | None = None,
) -> list[Dense]:
    """Return a network's layers in the order of computing.

    Parameters
    ----------
    network : sequence of Dense, Dense, mapping, or path
        A mapping of names to arrays, such as a state dict of PyTorch, is read as a .npz file is. A path's ending says
        what it is:

        .npz
            Arrays named ``NAME.weight`` and ``NAME.bias``, or ``weight0`` and ``bias0``; "weights", "w", "biases" and
            "b" will do too, and "_", "/" and "-" for ".". A weight has shape (outputs, inputs). Biases are optional.
            Layers are computed in the order in which their weights appear in the file.
        .safetensors
            The same names. Such a file does not keep the order: it follows from numbers in the names (fc, fc2, fc10),
            else from the shapes; where several orders would do, `layers` must say which.
        .onnx, .net
            A graph that comes to one chain of fully connected layers; `eie.network.sources.read_any` reads others, too.
            Of .net files see `eie.network.deep_compression`.
    hidden_activation, last_activation : {"relu", None}
        Activations of a .npz or .safetensors network, which holds none: after every layer but the last, and after
        the last. An .onnx file and `Dense` say it themselves.
    layers : sequence of str, optional
        Names of all layers of a .npz or .safetensors file, in the order of computing.

    Raises
    ------
    NetworkError
        If a file is missing, damaged, or holds anything else, or if the layers' shapes do not chain.
    MissingExtraError
        If the file's format needs a package that is not installed.
    """
    if isinstance(network, Dense):
        network = [network]
    if isinstance(network, (str, Path)):
        read = _read_file(Path(network), hidden_activation, last_activation, layers)
    elif isinstance(network, Mapping):
        read = _read_mapping(network, hidden_activation, last_activation, layers)
    elif isinstance(network, Iterable):
        read = list(network)
        for i, layer in enumerate(read):
            if not isinstance(layer, Dense):
                raise NetworkError(f"layer {i} of the network is a {type(layer).__name__}; it must be an eie.Dense")
    else:
        raise NetworkError(f"network is a {type(network).__name__}; it must be a list of eie.Dense or a path")
    _check_chain(read, f"{network}" if isinstance(network, (str, Path)) else "the network")
    return read


def _read_file(
    path: Path, hidden_activation: str | None, last_activation: str | None, chosen: Sequence[str] | None
) -> list[Dense]:
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix in (".onnx", ".net"):
        from eie.network.graph_readers import read_chain

        if chosen is not None:
            raise NetworkError(f"{path}: layers={list(chosen)!r} is given, but such a file has an order of its own")
        return read_chain(path)
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    if suffix not in readers:
        raise NetworkError(
            f"{path}: its ending is {suffix!r}; networks are read from .npz, .safetensors, .onnx and .net"
        )
    arrays, order = readers[suffix](path, chosen)
    return _layers(arrays, order, hidden_activation, last_activation, f"{path}")


def _read_mapping(
    network: Mapping[str, Any], hidden: str | None, last: str | None, chosen: Sequence[str] | None
) -> list[Dense]:
    what = "the mapping"
    masked = sorted(str(name) for name in network if str(name).endswith(("_orig", "_mask")))
    if masked:
        raise NetworkError(f"{what}: {masked[0]!r} is of torch's pruning; call prune.remove on the module first")
    arrays = {str(name): real_array(value, f"{what}: array {name!r}", NetworkError) for name, value in network.items()}
    found = _pair({name: (array.shape, True, str(array.dtype)) for name, array in arrays.items()}, what)
    order = list(found) if chosen is None else _named(found, chosen, what)
    parts = {layer: {kind: arrays[name] for kind, name in found[layer].items()} for layer in order}
    return _layers(parts, order, hidden, last, what)


def _layers(
    arrays: Mapping[str, _Parts], order: Sequence[str], hidden: str | None, last: str | None, source: str
) -> list[Dense]:
    activations = [hidden] * (len(order) - 1) + [last]
    return [
        make_dense(arrays[layer]["weight"], arrays[layer].get("bias"), activation, layer, source)
        for layer, activation in zip(order, activations, strict=False)
    ]


def _read_npz(path: Path, chosen: Sequence[str] | None) -> tuple[dict[str, _Parts], list[str]]:
    """Return the layers of a file, by their names, and their order."""
    with readable(path, ".npz", NetworkError):
        headers = npz_headers(path)
        found = _pair({name: (h.shape, h.dtype.kind in "fiu", str(h.dtype)) for name, h in headers.items()}, path)
        order = list(found) if chosen is None else _named(found, chosen, path)
        return {layer: {kind: read_npz(path, name) for kind, name in found[layer].items()} for layer in order}, order


def _read_safetensors(path: Path, chosen: Sequence[str] | None) -> tuple[dict[str, _Parts], list[str]]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise MissingExtraError(
            "reading .safetensors needs safetensors: pip install 'eie-pynq[safetensors]'"
        ) from error
    with readable(path, ".safetensors", NetworkError), safe_open(path, framework="np") as archive:
        slices = {name: archive.get_slice(name) for name in archive.keys()}  # noqa: SIM118 (it is no dict)
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        kinds = {name: str(part.get_dtype()) for name, part in slices.items()}
        found = _pair({name: (shapes[name], kinds[name] in _REAL_TENSORS, kinds[name]) for name in shapes}, path)
        weights = {layer: shapes[parts["weight"]] for layer, parts in found.items()}
        order = order_of_layers(weights, f"{path}") if chosen is None else _named(found, chosen, path)

        def read(name: str) -> NDArray[Any]:
            return _bfloat16(path, name) if kinds[name] == "BF16" else archive.get_tensor(name)

        return {layer: {kind: read(name) for kind, name in found[layer].items()} for layer in order}, order


_REAL_TENSORS = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")


def _bfloat16(path: Path, name: str) -> NDArray[np.float32]:
    """Return a tensor of a type that numpy does not have: the upper halves of float32."""
    from safetensors import deserialize

    tensor = dict(deserialize(path.read_bytes()))[name]
    halves = np.frombuffer(tensor["data"], "<u2").astype(np.uint32)
    return (halves << 16).view(np.float32).reshape(tensor["shape"])


def _pair(arrays: Mapping[str, tuple[tuple[int, ...], bool, str]], path: Path | str) -> dict[str, dict[str, str]]:
    """Pair weights with biases by their names, in the order of the weights; refuse by name, type and shape alone.

    `arrays` gives each array's shape, whether it holds real numbers, and its type; returned are the names of each
    layer's arrays, by kind.
    """
    found: dict[str, dict[str, str]] = {}
    for name, (shape, is_real, dtype) in arrays.items():
        match = _match(name)
        if match is None:
            raise NetworkError(
                f"{path}: array {name!r} {shape} is by its name neither a weight nor a bias; "
                "names of fully connected layers are like 'fc1.weight' and 'fc1.bias' or 'weight0' and 'bias0'"
            )
        layer, kind = match
        if not is_real:
            raise NetworkError(f"{path}: array {name!r} is {dtype}; it must hold real numbers")
        rank, wanted = (2, "(outputs, inputs)") if kind == "weight" else (1, "(outputs,)")
        if len(shape) != rank or 0 in shape or max(shape) > LINES_LIMIT or prod(shape) > NONZEROS_LIMIT:
            raise NetworkError(
                f"{path}: {kind} of layer {layer!r} has shape {shape}; it must be {wanted}, each 1 to {LINES_LIMIT}, "
                f"with at most {NONZEROS_LIMIT} numbers"
            )
        if kind in found.setdefault(layer, {}):
            raise NetworkError(f"{path}: array {name!r} is a second {kind} of layer {layer!r}")
        found[layer][kind] = name
    for layer, parts in found.items():
        if "weight" not in parts:
            raise NetworkError(f"{path}: layer {layer!r} has a bias but no weight")
    order = [layer for name in arrays for layer, kind in [_match(name) or ("", "")] if kind == "weight"]
    return {layer: found[layer] for layer in order}


def _named(found: Mapping[str, object], chosen: Sequence[str], path: Path | str) -> list[str]:
    """Return the layers that the caller chose, in that order."""
    if isinstance(chosen, str) or sorted(chosen) != sorted(found):
        raise NetworkError(f"{path}: layers={chosen!r} must name each of its layers once: {', '.join(found)}")
    return list(chosen)


def _match(name: str) -> tuple[str, str] | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    layer = match["prefix"].rstrip("._/-") + match["suffix"]
    return layer.lstrip("._/-") or "layer", _KINDS[match["kind"].lower()]


def make_dense(
    weight: NDArray[Any], bias: NDArray[Any] | None, activation: str | None, name: str, source: str
) -> Dense:
    """Return a layer, or raise `NetworkError` that names its source."""
    try:
        return Dense(weight, bias, activation, fitting_name(name))
    except LayerError as error:
        raise NetworkError(f"{source}: {error}") from error


def _check_chain(layers: Sequence[Dense], source: str) -> None:
    if not layers:
        raise NetworkError(f"{source} has no layers; at least one is needed")
    for i, (first, second) in enumerate(pairwise(layers)):
        if first.weight.shape[0] != second.weight.shape[1]:
            order = ", ".join(f"{layer.name or 'unnamed'} {layer.weight.shape}" for layer in layers)
            raise NetworkError(
                f"{source}: layer {i} has {first.weight.shape[0]} outputs, the next takes {second.weight.shape[1]} "
                f"inputs; weights are (outputs, inputs), the order was {order}; for another, give layers=[...]"
            )
