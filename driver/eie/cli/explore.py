"""`eie explore`: what a model costs on every array of a range, in clock cycles and in resources of a board."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.atomic import require_output
from eie.boards.board import Board, board, board_names
from eie.cli.common import Commands, Progress, add_json_option, print_json, print_text, read_batch
from eie.contract.array_options import array_group, option_help, option_names
from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import ACTIVATION_MAX, quantise
from eie.data.frozen_random import frozen_random
from eie.errors import ConfigError
from eie.exploration.explore import Exploration, explore
from eie.exploration.figure import describe, pareto_figure
from eie.exploration.pareto import limit_of, time_us
from eie.exploration.results import Row
from eie.model_file.container import load_chain
from eie.network.model import Model
from eie.plots import FIGURE_ENDINGS, require_plots, save_figure

_DENSITY = 0.35
"""Of random inputs; the paper's typical share of non-zero activations."""
_MOST_REASONS = 8


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "explore",
        help="cycles and resources of a model on a range of arrays",
        description="Run the cycle model, and estimate the resources, for every combination of array parameters. "
        "VALUES are numbers and ranges A:B, parted by commas; a range doubles, or counts by one where it can. "
        "A choice takes yes, no or both.",
    )
    parser.add_argument("file", metavar="MODEL", type=Path, help="model file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help=".csv or .parquet; what is there is kept")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="Pareto plot, as .png and .svg")
    parser.add_argument("--board", action="append", choices=board_names(), help="may be given again (default: pynq-z2)")
    parser.add_argument("--loading", action="store_true", help="count the time in which weights travel, too")
    add_json_option(parser)
    _add_inputs(parser)
    _add_workers(parser)
    group = array_group(parser)
    for field in fields(ArrayConfig):
        metavar = "yes|no|both" if field.type == "bool" else "VALUES"
        group.add_argument(*option_names(field.name), dest=field.name, metavar=metavar, help=option_help(field.name))
    parser.set_defaults(command=_run)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("inputs")
    group.add_argument("--data", metavar="X.npy", type=Path, help="inputs: int16 as it is, floats quantised")
    group.add_argument("--inputs", type=int, default=1, metavar="N", help="how many random inputs (default: 1)")
    group.add_argument("--density", type=float, default=_DENSITY, help=f"of random inputs (default: {_DENSITY})")
    group.add_argument("--seed", type=int, default=0, help="of random inputs (default: 0)")


def _add_workers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("workers")
    group.add_argument("--jobs", type=int, default=-1, metavar="N", help="processes (default: one a core)")
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask cluster, tcp://host:8786, instead of processes"
    )


def _run(args: argparse.Namespace) -> None:
    boards = [board(name) for name in dict.fromkeys(args.board or ["pynq-z2"])]
    if args.plot:
        require_plots()
        for suffix in FIGURE_ENDINGS:
            require_output(args.plot.with_suffix(suffix), args.file, args.data)
    if args.output:
        require_output(args.output, args.file, args.data)
    model = load_chain(args.file)
    activations = _inputs(args, model)
    given = {field.name: getattr(args, field.name) for field in fields(ArrayConfig)}
    if find_spec("numba") is None:
        print("eie: without numba the cycle model is slow: pip install 'eie-pynq[fast]'", file=sys.stderr)
    with _progress() as progress:
        found = explore(
            model,
            activations,
            {name: values for name, values in given.items() if values is not None},
            base=ArrayConfig.paper() if args.paper else ArrayConfig(),
            output=args.output,
            jobs=args.jobs,
            scheduler=args.scheduler,
            progress=progress,
        )
    figures = []
    if args.plot and found.rows:
        title = f"{model.name}: arrays explored"
        figure = pareto_figure(found.rows, boards, found.space.varied, title, args.loading)
        figures = save_figure(figure, args.plot)
    if args.json:
        print_json(_json(found, boards, args.loading, args.output, figures))
    else:
        print_text(_text(found, boards, args.loading, [*([args.output] if args.output else []), *figures]))


def _inputs(args: argparse.Namespace, model: Model) -> NDArray[np.int16]:
    if args.data:
        batch, _ = read_batch(args.data, model)
        return batch if batch.dtype == np.int16 else quantise(batch, model.input_fraction_bits)
    return random_inputs(model, args.inputs, args.density, args.seed)


def random_inputs(model: Model, count: int, density: float, seed: int) -> NDArray[np.int16]:
    """Return int16 inputs, shape (count, columns), from 0 to 1 in the model's fixed point, of exactly this density."""
    if not 0 <= density <= 1:
        raise ConfigError(f"density={density} must lie in 0..1")
    if count < 1:
        raise ConfigError(f"inputs={count}; at least 1 is needed")
    rng = frozen_random(seed)
    highest = min(max(1, 1 << max(0, model.input_fraction_bits)), ACTIVATION_MAX)
    a = rng.randint(1, highest + 1, size=(count, model.columns), dtype=np.int32).astype(np.int16)
    for vector in a:
        vector[rng.permutation(model.columns) >= round(density * model.columns)] = 0
    return a


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how far an exploration is: tqdm's bar, or where that is missing a line of text."""
    try:
        from tqdm import tqdm
    except ImportError:
        with Progress() as line:
            yield lambda done, total: line.count("exploring", done, total)
        return
    # `disable=None` is silent unless stderr is a terminal.
    with tqdm(desc="exploring", unit="array", disable=None, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            if bar.total is None:
                bar.reset(total)
                bar.initial = done
            bar.update(done - bar.n)

        yield show


def _json(
    found: Exploration, boards: list[Board], loading: bool, output: Path | None, figures: list[Path]
) -> dict[str, Any]:
    return {
        "axes": found.space.axes,
        "points": found.rows,
        "computed": found.computed,
        "known": found.known,
        "refused": found.refused,
        "pareto": {
            on.name: [_front_row(row, on, loading) for row in found.pareto(on, loading=loading)] for on in boards
        },
        "output": output,
        "figures": figures,
    }


def _front_row(row: Row, on: Board, loading: bool) -> dict[str, Any]:
    limit, share = limit_of(row, on)
    return {"key": row["key"], "time_us": time_us(row, on, loading), "scarcest": limit, "share": share}


def _text(found: Exploration, boards: list[Board], loading: bool, files: list[Path]) -> str:
    lines = [f"{len(found.rows):,} arrays: {found.computed:,} computed, {found.known:,} known already"]
    lines += _refused(found.refused)
    streamed = sum(not row["resident"] for row in found.rows)
    if streamed and not loading:
        lines.append(
            f"on {streamed:,} arrays the weights do not stay on chip; --loading counts the time in which they travel"
        )
    for on in boards:
        fitting = sum(on.name in row["fits"].split() for row in found.rows)
        lines += ["", f"{on.title}: {fitting:,} fit; the best, from the smallest to the fastest:"]
        for row in found.pareto(on, loading=loading):
            limit, share = limit_of(row, on)
            lines.append(
                f"  {time_us(row, on, loading):10,.2f} us  {share:4.0%} of {limit:10}  "
                f"utilisation {row['utilisation']:.2f}  {describe(row, found.space.varied)}"
            )
    return "\n".join([*lines, *(["", "written: " + ", ".join(map(str, files))] if files else [])])


def _refused(reasons: dict[str, int]) -> list[str]:
    if not reasons:
        return []
    lines = [f"{sum(reasons.values()):,} combinations left out:"]
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    lines += [f"  {count:,}: {reason}" for reason, count in ordered[:_MOST_REASONS]]
    if len(ordered) > _MOST_REASONS:
        lines.append(f"  {sum(count for _, count in ordered[_MOST_REASONS:]):,}: for other reasons")
    return lines
