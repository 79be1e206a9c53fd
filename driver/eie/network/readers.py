"""Readers of float networks: lists of `Dense`, .npz, .safetensors and .onnx files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.errors import LayerError, MissingExtraError, NetworkError
from eie.network.model import Dense

_KINDS = {"weight": "weight", "weights": "weight", "w": "weight", "bias": "bias", "biases": "bias", "b": "bias"}
_NAME = re.compile(r"(?P<prefix>|.*[._/-])(?P<kind>weights?|bias(?:es)?|w|b)(?P<suffix>[._/-]?\d*)", re.IGNORECASE)


def read_network(
    network: Sequence[Dense] | Dense | str | Path,
    hidden_activation: str | None = "relu",
    last_activation: str | None = None,
) -> list[Dense]:
    """Return a network's layers in the order of computing.

    Parameters
    ----------
    network : sequence of Dense, Dense, or path
        A path's ending says what it is:

        .npz
            Arrays named ``NAME.weight`` and ``NAME.bias``, or ``weight0`` and ``bias0``; "weights", "w", "biases" and
            "b" will do too, and "_", "/" and "-" for ".". A weight has shape (outputs, inputs). Biases are optional.
            Layers are computed in the order in which their weights appear in the file.
        .safetensors
            The same names. Such a file does not keep the order, so the names are sorted, numbers
            by value (fc2 before fc10).
        .onnx
            One chain of Gemm, MatMul, Add, Relu, Flatten, Reshape and Identity with constant weights.
    hidden_activation, last_activation : {"relu", None}
        Activations of a .npz or .safetensors network, which holds none: after every layer but the last, and after
        the last. An .onnx file and `Dense` say it themselves.

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
        layers = _read_file(Path(network), hidden_activation, last_activation)
    elif isinstance(network, Iterable):
        layers = list(network)
        for i, layer in enumerate(layers):
            if not isinstance(layer, Dense):
                raise NetworkError(f"layer {i} of the network is a {type(layer).__name__}; it must be an eie.Dense")
    else:
        raise NetworkError(f"network is a {type(network).__name__}; it must be a list of eie.Dense or a path")
    _check_chain(layers, f"{network}" if isinstance(network, (str, Path)) else "the network")
    return layers


def _read_file(path: Path, hidden_activation: str | None, last_activation: str | None) -> list[Dense]:
    if not path.is_file():
        raise NetworkError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        from eie.network.onnx_reader import read_onnx

        return read_onnx(path)
    if suffix == ".npz":
        arrays = _read_npz(path)
    elif suffix == ".safetensors":
        arrays = _read_safetensors(path)
    else:
        raise NetworkError(f"{path}: its ending is {suffix!r}; networks are read from .npz, .safetensors and .onnx")
    return _from_arrays(arrays, path, hidden_activation, last_activation)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # a damaged archive fails in zipfile, zlib, the header's parser or the allocation
        raise NetworkError(f"{path}: not a readable .npz file ({type(error).__name__}: {error})") from error


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise MissingExtraError(
            "reading .safetensors needs safetensors: pip install 'eie-pynq[safetensors]'"
        ) from error
    name = ""
    try:
        with safe_open(path, framework="np") as archive:
            arrays = {}
            for name in sorted(archive.keys(), key=_natural):
                arrays[name] = archive.get_tensor(name)
            return arrays
    except Exception as error:
        where = f"tensor {name!r}" if name else "the header"
        raise NetworkError(f"{path}: {where} cannot be read as numpy ({type(error).__name__}: {error})") from error


def _natural(name: str) -> list[tuple[bool, int, str]]:
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _from_arrays(
    arrays: Mapping[str, NDArray[Any]], path: Path, hidden_activation: str | None, last_activation: str | None
) -> list[Dense]:
    """Pair weights with biases by their names."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        match = _match(name)
        if match is None:
            raise NetworkError(
                f"{path}: array {name!r} {array.shape} is by its name neither a weight nor a bias; "
                "names of fully connected layers are like 'fc1.weight' and 'fc1.bias' or 'weight0' and 'bias0'"
            )
        layer, kind = match
        if array.dtype.kind not in "fiu":
            raise NetworkError(f"{path}: array {name!r} is {array.dtype}; it must hold real numbers")
        if kind in found.setdefault(layer, {}):
            raise NetworkError(f"{path}: array {name!r} is a second {kind} of layer {layer!r}")
        found[layer][kind] = array
    for layer, parts in found.items():
        if "weight" not in parts:
            raise NetworkError(f"{path}: layer {layer!r} has a bias but no weight")
    ordered = [layer for name in arrays for layer, kind in [_match(name) or ("", "")] if kind == "weight"]
    return [
        make_dense(
            found[layer]["weight"],
            found[layer].get("bias"),
            last_activation if i == len(ordered) - 1 else hidden_activation,
            layer,
            f"{path}",
        )
        for i, layer in enumerate(ordered)
    ]


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
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity, which `Dense` refuses
            return Dense(weight, bias, activation, name)
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
                f"inputs; weights are (outputs, inputs), the order was {order}; for another, pass eie.Dense"
            )
