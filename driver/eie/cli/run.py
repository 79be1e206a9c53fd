"""`eie run`: a batch of inputs through a model."""

from __future__ import annotations

import argparse
import operator
import time
import warnings
from dataclasses import asdict
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.atomic import replacing, require_output
from eie.cli.common import (
    Commands,
    Progress,
    add_device_option,
    add_json_option,
    print_json,
    print_text,
    read_array,
    read_batch,
    read_labels,
)
from eie.cli.graphs import graph_text, read_inputs, require_outputs_ending, run_graph, write_outputs
from eie.cli.recurrent import run_recurrent
from eie.contract.array_options import add_array_options, array_config
from eie.devices.choice import device_by_name
from eie.errors import AccuracyWarning, PackError
from eie.model_file.container import load
from eie.network.graph_model import GraphModel
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.runtime.accelerator import Accelerator
from eie.runtime.counters import Counters
from eie.runtime.saturation import Saturation

STEPS = {"emulated": 1024, "rtl": 8}
"""Inputs between two words of progress: large enough to cost nothing, small enough to be told of."""


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "run",
        help="run inputs through a model",
        description="Run a batch of inputs through a model on a device; write the outputs.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="model file")
    parser.add_argument(
        "input",
        metavar="INPUT",
        type=Path,
        help=".npy or .npz, shape (inputs, columns) or (columns,); of a graph in its own shape, several inputs by "
        "name; of a recurrent layer sequences, (steps, columns) or (sequences, steps, columns)",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.npy",
        type=Path,
        help="where the outputs go; .npz for the outputs of a graph that has several",
    )
    parser.add_argument("--raw", action="store_true", help="inputs and outputs are int16 in the model's fixed point")
    parser.add_argument("--verify", action="store_true", help="compare every output with the integer reference")
    parser.add_argument(
        "--labels", metavar="Y.npy", type=Path, help="classes of the inputs, integers: tells how many are found"
    )
    add_device_option(parser)
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    config = array_config(args)
    if args.output:
        require_output(args.output, args.file, args.input, endings=(".npy", ".npz"))
    with Progress() as progress:
        progress("loading")
        model = load(args.file)
        if isinstance(model, GraphModel):
            return _run_graph(args, model)
        if isinstance(model, RecurrentModel):
            return run_recurrent(args, model)
        if args.output and args.output.suffix != ".npy":
            raise PackError(f"{args.output}: outputs are written as .npy; name the file so")
        batch, single = read_batch(args.input, model)
        labels = read_labels(args.labels, len(batch), model.rows) if args.labels else None
        progress(f"preparing the {args.device} array")
        with warnings.catch_warnings(), Accelerator(device_by_name(args.device, config)) as accelerator:
            warnings.simplefilter("ignore", AccuracyWarning)  # the result says it
            started = time.perf_counter()
            accelerator.load(model)
            run_in_steps(accelerator, batch[:1], 1, progress, raw=args.raw)  # a compiler may start here
            loaded = time.perf_counter()
            accelerator.clear_counters()
            outputs, saturated = run_in_steps(
                accelerator,
                batch,
                STEPS.get(args.device, STEPS["emulated"]),
                progress,
                raw=args.raw,
                verify=args.verify,
            )
            ended = time.perf_counter()
            counters = asdict(accelerator.counters)
    if args.output:
        with replacing(args.output) as partial:
            np.save(partial, outputs[0] if single else outputs, allow_pickle=False)
    result: dict[str, Any] = {
        "model": model.name,
        "device": args.device,
        "array": accelerator.config.to_dict(),
        "inputs": len(batch),
        "outputs": model.rows,
        "output": args.output,
        "verified": len(batch) if args.verify else 0,
        "saturated": asdict(saturated),
        "load_seconds": loaded - started,
        "run_seconds": ended - loaded,
        "counters": counters,
    }
    if labels is not None:
        result["correct"] = int((outputs.argmax(axis=1) == labels).sum())
    if args.json:
        print_json(result)
        return
    print_text(_text(result, model))
    if saturated.known:
        print_text(saturated.text([layer.name for layer in model.layers]))


def _run_graph(args: argparse.Namespace, model: GraphModel) -> None:
    if args.raw:
        raise PackError(f"{args.file}: holds a graph, whose inputs are no fixed point; leave --raw out")
    inputs = read_inputs(args.input, model.graph)
    if args.labels:
        read_array(args.labels)  # before the long work
    if args.output:
        require_outputs_ending(args.output, len(model.graph.outputs) > 1)
    with Accelerator(device_by_name(args.device, array_config(args))) as accelerator:
        outputs, figures = run_graph(accelerator, model, inputs, args.verify)
    if args.output:
        write_outputs(args.output, outputs)
    if args.labels:
        if isinstance(outputs, dict) or outputs.ndim != 2:
            raise PackError(f"{args.labels}: labels are for networks whose one output is (inputs, classes)")
        figures["correct"] = int((outputs.argmax(axis=1) == read_labels(args.labels, *outputs.shape)).sum())
    if args.json:
        print_json({**figures, "device": args.device, "output": args.output})
    else:
        print_text(graph_text(figures, args.device, [layer.name for layer in model.layers]))


def run_in_steps(
    accelerator: Accelerator,
    batch: NDArray[Any],
    step: int,
    progress: Progress,
    *,
    raw: bool = False,
    verify: bool = False,
) -> tuple[NDArray[Any], Saturation]:
    """Run a batch on the model loaded last, telling how far it is; return the outputs and what saturated."""
    run = accelerator.run_raw if raw else accelerator.run
    outputs, saturated = [], []
    for first in range(0, len(batch), step):
        progress.count("running", first, len(batch))
        outputs.append(run(batch[first : first + step], verify=verify))
        saturated.append(accelerator.saturation)
    return np.concatenate(outputs), reduce(operator.add, saturated)


def _text(result: dict[str, Any], model: Model) -> str:
    count, seconds = result["inputs"], result["run_seconds"]
    lines = [
        f"{count:,} inputs through {model.name!r} on the {result['device']} array of {result['array']['num_pes']} PEs "
        f"in {seconds:.2f} s, {count / seconds:,.0f} a second{', comparison included' if result['verified'] else ''}",
        *Counters(**result["counters"]).lines(),
    ]
    if result["verified"]:
        lines.append(f"all {count * model.rows:,} outputs equal the integer reference")
    if "correct" in result:
        lines.append(f"{result['correct']:,} of {count:,} classes are right: {result['correct'] / count:.2%}")
    if result["output"]:
        lines.append(f"outputs: {result['output']}")
    return "\n".join(lines)
