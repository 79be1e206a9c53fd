"""`eie verify`: a device against the integer reference."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.cli.common import Commands, Progress, add_device_option, add_json_option, print_json, print_text, read_batch
from eie.cli.graphs import graph_text, read_inputs, run_graph
from eie.cli.recurrent import verify_recurrent
from eie.compression.samples import random_inputs
from eie.contract.array_options import add_array_options, array_config
from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN, as_activations, quantise
from eie.devices.choice import device_by_name
from eie.errors import NetworkError, PackError
from eie.model_file.container import load
from eie.network.graph_model import GraphModel
from eie.network.limits import fitting_name
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import reference_layer
from eie.runtime.accelerator import Accelerator

_DENSITIES = (1.0, 0.35, 0.05)
"""Of the random inputs, in turn; 35 % is the paper's typical share of non-zero activations."""


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "verify",
        help="compare a device with the integer reference",
        description="Run inputs through the whole network and through each of its layers alone, and compare every "
        "output with the plain integer reference, bit for bit. Alone, every layer gets random int16 values, extremes "
        "included; with a file of inputs, what the reference gives it.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="model file")
    parser.add_argument(
        "--inputs",
        default="64",
        metavar="N|X.npy",
        help="how many random inputs, or a file: int16 as it is, floats quantised (default: 64)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    add_device_option(parser)
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    config = array_config(args)
    if args.seed < 0:
        raise PackError(f"seed is {args.seed}; it must be 0 or more")
    with Progress() as progress:
        progress("loading")
        model = load(args.file)
        if isinstance(model, GraphModel):
            return _verify_graph(args, model)
        is_count = args.inputs.lstrip("+-").isdigit()
        if isinstance(model, RecurrentModel):
            return verify_recurrent(args, model, _count(args.inputs) if is_count else None)
        given = None if is_count else _activations(args.inputs, model)
        count = _count(args.inputs) if given is None else len(given)
        checks = []
        progress(f"preparing the {args.device} array")
        with Accelerator(device_by_name(args.device, config)) as accelerator:
            for name, part, inputs in _cases(model, given, count, args.seed):
                progress(f"comparing {name}")
                accelerator.run_raw(inputs, verify=True, model=part)
                checks.append({"part": name, "inputs": count, "outputs": count * part.rows, "equal": True})
    result = {
        "model": model.name,
        "device": args.device,
        "array": accelerator.config.to_dict(),
        "inputs": "random" if given is None else args.inputs,
        "seed": args.seed if given is None else None,
        "checks": checks,
    }
    if args.json:
        print_json(result)
    else:
        print_text(_text(result))


def _verify_graph(args: argparse.Namespace, model: GraphModel) -> None:
    """Compare every result of the array while a graph runs, on given inputs or on standard normal ones."""
    if args.inputs.lstrip("+-").isdigit():
        try:
            inputs = random_inputs(model.graph, _count(args.inputs))
        except NetworkError as error:
            raise PackError(f"{args.file}: {error} in a file: --inputs X.npy, of several inputs .npz") from error
    else:
        inputs = read_inputs(Path(args.inputs), model.graph)
    with Accelerator(device_by_name(args.device, array_config(args))) as accelerator:
        _, figures = run_graph(accelerator, model, inputs, verify=True)
    if args.json:
        print_json({**figures, "device": args.device})
    else:
        print(graph_text(figures, args.device, [layer.name for layer in model.layers]))


def _cases(
    model: Model, given: NDArray[np.int16] | None, count: int, seed: int
) -> Iterator[tuple[str, Model, NDArray[np.int16]]]:
    """Yield what is compared: the whole model and, if it has several, its layers alone; name, model and inputs."""
    rng = np.random.default_rng(seed)
    layers = model.layers
    name = "one layer" if len(layers) == 1 else f"network of {len(layers)} layers"
    yield name, model, random_activations(count, model.columns, rng) if given is None else given
    for i, layer in enumerate(layers if len(layers) > 1 else ()):
        inputs = random_activations(count, layer.columns, rng) if given is None else given
        yield (
            f"layer {i} alone ({layer.rows} x {layer.columns})",
            Model([layer], fitting_name(f"{model.name}, layer {i}")),
            inputs,
        )
        given = None if given is None else reference_layer(layer, given)


def random_activations(count: int, columns: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Return int16 inputs, shape (count, columns): extreme patterns first, then random values of the full range."""
    column = np.arange(columns)
    patterns = (
        np.zeros(columns),
        np.full(columns, ACTIVATION_MAX),
        np.full(columns, ACTIVATION_MIN),
        np.where(column % 2, ACTIVATION_MIN, ACTIVATION_MAX),
        np.where(column == columns - 1, ACTIVATION_MIN, 0),
    )
    a = rng.integers(ACTIVATION_MIN, ACTIVATION_MAX + 1, (count, columns), dtype=np.int16)
    for i in range(count):
        if i < len(patterns):
            a[i] = patterns[i]
        else:
            a[i] *= rng.random(columns) < _DENSITIES[i % len(_DENSITIES)]
    return a


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise PackError(f"inputs is {count}; at least 1 is needed to compare anything")
    return count


def _activations(path: str, model: Model) -> NDArray[np.int16]:
    batch, _ = read_batch(path, model)
    if batch.dtype == np.int16:
        return as_activations(batch, model.columns)
    return quantise(batch, model.input_fraction_bits)


def _text(result: dict[str, Any]) -> str:
    kind = f"inputs of {result['inputs']}"
    if result["seed"] is not None:
        kind = f"random and extreme inputs (seed {result['seed']})"
    pes = result["array"]["num_pes"]
    lines = [f"{result['model']!r}: {result['device']} array of {pes} PEs against the integer reference, {kind}"]
    width = max(len(check["part"]) for check in result["checks"])
    for check in result["checks"]:
        lines.append(f"  {check['part']:<{width}}  {check['inputs']:,} inputs, {check['outputs']:,} outputs: all equal")
    return "\n".join(lines)
