"""`eie estimate`: how fast a board will run a model, and what bounds it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from eie.boards.board import board, board_names
from eie.cli.common import Commands, Progress, add_json_option, print_json, print_text, read_batch
from eie.contract.array_options import add_array_options, array_config
from eie.cycle_model.throughput import TYPICAL_DENSITY, estimate
from eie.errors import PackError
from eie.model_file.container import load
from eie.network.graph_model import GraphModel

_MOST = 64
"""Inputs of a file that are used by default: they run one after another here, and few tell as much as many."""


def add_parser(commands: Commands) -> None:
    parser = commands.add_parser(
        "estimate",
        help="predict how fast a board runs a model",
        description="Predict latency and inferences a second on a board, of each layer and in total, and what bounds "
        "them: the DMA, the broadcast, the arithmetic, the output, or the start of each instruction. Array and DMA are "
        "predicted cycle for cycle; what the host does between transfers comes on top.",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="model file")
    parser.add_argument(
        "--board", metavar="NAME", default="pynq-z2", help=f"{', '.join(board_names())} (default: pynq-z2)"
    )
    parser.add_argument(
        "--data",
        metavar="X.npy",
        type=Path,
        help="inputs: int16 as they are, floats quantised (default: random ones); of a recurrent layer one sequence",
    )
    parser.add_argument(
        "--density",
        type=float,
        default=TYPICAL_DENSITY,
        metavar="D",
        help=f"non-zeros among random inputs; the paper's layers have {TYPICAL_DENSITY} (default)",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="inputs in a batch (default: few)")
    parser.add_argument("--clock", type=float, metavar="MHZ", help="of the array (default: the board's)")
    parser.add_argument(
        "--dma-bytes",
        type=float,
        metavar="N",
        help="that the DMA brings per cycle (default: the stream's width, or what port and memory bring of it)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the random inputs (default: 0)")
    add_json_option(parser)
    add_array_options(parser)
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> None:
    described = board(args.board)
    config = array_config(args, described.config)
    with Progress() as progress:
        progress("loading")
        model = load(args.file)
        if isinstance(model, GraphModel):
            raise PackError(
                f"{args.file}: holds a graph, whose cycles depend on its inputs; eie run --device rtl tells"
            )
        inputs = None
        if args.data:
            inputs = np.asarray(read_batch(args.data, model)[0][: _MOST if args.batch is None else args.batch])
        progress(f"timing {model.name} on {config.num_pes} PEs")
        result = estimate(
            model,
            replace(described, config=config),
            inputs,
            clock_mhz=described.clock_mhz if args.clock is None else args.clock,
            bytes_per_cycle=args.dma_bytes,
            density=args.density,
            batch=args.batch,
            seed=args.seed,
        )
    if args.json:
        print_json({"file": args.file, **result.to_dict()})
    else:
        print_text(result.table())
