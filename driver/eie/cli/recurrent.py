"""What the commands do with a recurrent layer that a model file holds: sequences, their time steps, comparisons."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.cli.common import print_json, print_text, read_array
from eie.cli.graphs import graph_text, timed_run, write_outputs
from eie.contract.array_options import array_config
from eie.devices.choice import device_by_name
from eie.errors import PackError
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import as_sequences
from eie.runtime.accelerator import Accelerator

_STEPS = 16
"""Time steps of a random sequence."""


def run_recurrent(args: argparse.Namespace, model: RecurrentModel) -> None:
    """Run the sequences of a file, from states of 0."""
    if args.raw:
        raise PackError(f"{args.file}: holds a recurrent layer, which takes floats; leave --raw out")
    if args.labels:
        raise PackError(f"{args.labels}: labels are for networks whose output is (inputs, classes)")
    outputs, figures = _run(args, model, _sequences(args.input, model), args.verify)
    if args.output:
        write_outputs(args.output, outputs)
    _print(args, model, {**figures, "output": args.output} if args.json else figures)


def verify_recurrent(args: argparse.Namespace, model: RecurrentModel, count: int | None) -> None:
    """Compare every time step of given sequences, or of so many random ones, with the integer reference."""
    if count is None:
        x = _sequences(Path(args.inputs), model)
    else:
        peak = 2.0 ** (15 - model.input_fraction_bits)
        rng = np.random.default_rng(args.seed)
        x = rng.uniform(-peak, peak, (count, _STEPS, model.columns)).astype(np.float32)
        x *= rng.random((count, 1, 1)) < 0.5  # states go on where nothing comes in
    _, figures = _run(args, model, x, verify=True)
    _print(args, model, figures)


def _sequences(path: Path, model: RecurrentModel) -> NDArray[Any]:
    x = read_array(path)
    try:
        as_sequences(model, x)
    except PackError as error:
        raise PackError(f"{path}: {error}") from error
    return x


def _run(
    args: argparse.Namespace, model: RecurrentModel, x: NDArray[Any], verify: bool
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    with Accelerator(device_by_name(args.device, array_config(args))) as accelerator:
        outputs, figures = timed_run(accelerator, model, {"x": x}, x, verify)
    steps = x.shape[0] * (x.shape[1] if x.ndim == 3 else 1)
    return outputs, {**figures, "device": args.device, "time_steps": steps}


def _print(args: argparse.Namespace, model: RecurrentModel, figures: Mapping[str, Any]) -> None:
    if args.json:
        print_json(figures)
        return
    print_text(graph_text(figures, args.device, [layer.name for layer in model.layers]))
    steps, busy = figures["time_steps"], figures["counters"]["busy"]
    print_text(f"{steps:,} time steps" + (f" of {busy / steps:,.0f} cycles each" if busy else ""))
