"""`eie paper`: the paper's tables and figures, reproduced on this project's cycle model."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.cli.common import Commands, Progress, add_json_option, print_json, print_text, read_batch
from eie.errors import PackError
from eie.network.model import Model


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "paper",
        help="reproduce the tables and figures of the EIE paper",
        description="Reproduce the evaluation of the EIE paper: its tables and figures with the paper's numbers and "
        "ours, as PNG, SVG, CSV, JSON and one HTML report.",
    )
    add_options(parser)
    add_json_option(parser)
    parser.set_defaults(command=_command)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `run` reads, but for --json."""
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, default=Path("eie-paper"), help="where files go")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random layers (default: 1)")
    parser.add_argument("--quick", action="store_true", help="two benchmarks, few points: to see that it works")
    parser.add_argument(
        "--processes", type=int, default=min(os.cpu_count() or 1, 8), metavar="N", help="default: one a core, at most 8"
    )
    parser.add_argument("--model", metavar="FILE", help="a model of your own to compare with random layers like it")
    parser.add_argument("--inputs", metavar="FILE", help="its inputs, .npy or .npz")


def _command(args: argparse.Namespace) -> None:
    run(args)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, write, print; return the results."""
    from eie import plots
    from eie.atomic import make_folder
    from eie.paper.evaluation import QUICK, Plan, evaluate
    from eie.paper.findings import deviations, summary
    from eie.paper.report import write
    from eie.paper.tables import tables

    plots.require_plots()
    make_folder(args.output)
    base = QUICK if args.quick else Plan()
    network = _network(args)
    plan = replace(base, seed=args.seed, processes=1 if args.quick else args.processes, network=network)
    with Progress() as progress:
        progress("measuring the benchmarks")
        result = evaluate(plan, lambda name, done, total: progress.count(f"measured {name}", done, total))
        files = write(result, args.output, progress)
    if args.json:
        print_json(result)
        return result
    for table in tables(result):
        print_text(f"{table.title}\n\n{table.text()}\n")
    print_text("\n\n".join([summary(result), *deviations(result)]))
    seconds = result["times"]["total_seconds"]
    print_text(f"\nwrote {len(files)} files in {seconds:.0f} s; see {args.output / 'paper.html'}")
    return result


def _network(args: argparse.Namespace) -> tuple[Model, NDArray[np.int16]] | None:
    if args.model is None and args.inputs is None:
        return None
    if args.model is None or args.inputs is None:
        raise PackError("--model and --inputs go together: the model and vectors of activations to run it on")
    from eie.contract.fixed_point import quantise
    from eie.model_file.container import load_chain

    model = load_chain(args.model)
    batch, _ = read_batch(args.inputs, model)
    return model, quantise(batch, model.input_fraction_bits)
