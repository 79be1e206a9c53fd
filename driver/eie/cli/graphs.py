"""What the commands do with graphs: inputs by name, runs, comparisons."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.atomic import replacing
from eie.cli.common import read_array
from eie.contract.config import CODEBOOK_SIZE
from eie.errors import AccuracyWarning, NetworkError, PackError
from eie.network.graph import Graph
from eie.network.graph_model import GraphModel
from eie.network.model import Layer, Model
from eie.network.recurrent_model import RecurrentModel
from eie.runtime.accelerator import Accelerator
from eie.runtime.counters import Counters
from eie.runtime.saturation import Saturation


def add_graph_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a graph is read."""
    parser.add_argument(
        "--outputs", metavar="NAME", nargs="+", help="tensors at which the graph is to end (default: its own outputs)"
    )
    parser.add_argument(
        "--fix", metavar="NAME=VALUE", action="append", default=[], help="an input that is to be constant: sr=16000"
    )
    parser.add_argument(
        "--shape", metavar="NAME=SIZE,SIZE", action="append", default=[], help="shape of an input that leaves it open"
    )


def bound_inputs(pairs: Sequence[str]) -> dict[str, Any]:
    """Return what --fix gives: numbers by name."""
    found = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            found[name] = float(text) if "." in text or "e" in text else int(text)
        except ValueError:
            raise NetworkError(f"--fix {pair}: {text!r} is no number; write NAME=VALUE") from None
    return found


def shapes_of(pairs: Sequence[str], graph: Graph) -> dict[str, tuple[int, ...]]:
    """Return the shapes of inputs that --shape gives."""
    names = [value.name for value in graph.inputs]
    shapes = {}
    for pair in pairs:
        name, _, text = pair.rpartition("=")
        if name not in names:
            raise NetworkError(f"--shape {pair}: there is no input {name!r}; there are {', '.join(names)}")
        try:
            shapes[name] = tuple(int(size) for size in text.split(","))
        except ValueError:
            raise NetworkError(f"--shape {pair}: {text!r} are no sizes; write NAME=SIZE,SIZE") from None
        if min(shapes[name]) < 0:
            raise NetworkError(f"--shape {pair}: sizes must not be negative")
    return shapes


def read_inputs(path: Path, graph: Graph) -> dict[str, NDArray[Any]]:
    """Read a graph's inputs: one alone from a .npy file, several from a .npz file that names them."""
    names = [value.name for value in graph.inputs]
    if path.suffix.lower() != ".npz":
        if len(names) != 1:
            raise PackError(f"{path}: the network takes {', '.join(map(str, graph.inputs))}; name them in a .npz file")
        return {names[0]: read_array(path)}
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: np.asarray(archive[name]) for name in archive.files}
    except Exception as error:  # a damaged file fails in zipfile, zlib, the header's parser or the allocation
        raise PackError(f"{path}: not a readable numpy file ({type(error).__name__}: {error})") from error
    return {names[0]: found[next(iter(found))]} if len(found) == len(names) == 1 else found


def run_graph(
    accelerator: Accelerator, model: GraphModel, inputs: Mapping[str, NDArray[Any]], verify: bool
) -> tuple[Any, dict[str, Any]]:
    """Run a graph once; return its outputs and the figures to tell."""
    return timed_run(accelerator, model, inputs, dict(inputs), verify)


def timed_run(
    accelerator: Accelerator,
    model: GraphModel | RecurrentModel,
    inputs: Mapping[str, NDArray[Any]],
    given: Any,
    verify: bool,
) -> tuple[Any, dict[str, Any]]:
    """Run a model once with what `Accelerator.run` is given; return its outputs and the figures to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # the figures say it
        _start(accelerator)
        accelerator.load(model)
        accelerator.clear_counters()
        started = time.perf_counter()
        outputs = accelerator.run(given, verify=verify)
        seconds = time.perf_counter() - started
    alone = model.graph.outputs[0].name if isinstance(model, GraphModel) else "y"
    named = outputs if isinstance(outputs, dict) else {alone: outputs}
    figures = {
        "model": model.name,
        "array": accelerator.config.to_dict(),
        "inputs": {name: list(np.shape(array)) for name, array in inputs.items()},
        "outputs": {name: list(array.shape) for name, array in named.items()},
        "verified": verify,
        "saturated": asdict(accelerator.saturation),
        "run_seconds": seconds,
        "counters": asdict(accelerator.counters),
    }
    return outputs, figures


def _start(accelerator: Accelerator) -> None:
    """Run a layer of one weight: a compiler may start with the first, which is no part of inference."""
    layer = Layer.from_dense_codes([[1]], np.arange(CODEBOOK_SIZE), name="start")
    accelerator.run_raw(np.ones((1, 1), np.int16), model=Model([layer], "start"))


def require_outputs_ending(path: Path, several: bool) -> None:
    """Raise `PackError` unless one output goes to a .npy file, several to a .npz file."""
    if path.suffix != (".npz" if several else ".npy"):
        raise PackError(
            f"{path}: {'several outputs are' if several else 'an output is'} written as "
            f"{'.npz' if several else '.npy'}; name the file so"
        )


def write_outputs(path: Path, outputs: Any) -> None:
    """Write one output to a .npy file, several to a .npz file."""
    require_outputs_ending(path, isinstance(outputs, dict))
    with replacing(path) as partial:
        if isinstance(outputs, dict):
            with open(partial, "wb") as file:
                np.savez(file, **outputs)
        else:
            np.save(partial, outputs, allow_pickle=False)


def graph_text(figures: Mapping[str, Any], device: str, names: Sequence[str]) -> str:
    """Describe a run; `names` are those of the layers."""
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in figures["outputs"].items())
    lines = [
        f"{figures['model']!r} on the {device} array of {figures['array']['num_pes']} PEs in "
        f"{figures['run_seconds']:.2f} s{', comparison included' if figures['verified'] else ''}: {shapes}",
        *Counters(**figures["counters"]).lines(),
    ]
    if figures["verified"]:
        lines.append("every result of the array equals the integer reference")
    if "correct" in figures:
        lines.append(f"{figures['correct']:,} classes are right")
    saturated = Saturation(**figures["saturated"])
    if saturated.known:
        lines.append(saturated.text(names))
    return "\n".join(lines)
