"""Recurrent layers of the literature on the array of a board: outputs against torch's floats, cycles of a time step.

    python scripts/bench_recurrent.py [NAME ...] [--board NAME] [--steps 50] [--density D] [--terms N] [--shared-gates]

Weights are random, as torch begins with; the smallest go to the density, and torch computes with what is left. Inputs
are standard normal. Every output of the array is compared with the integer reference; cycles are those of the cycle
model's counters, which are the hardware's, from the first word of a transfer to the last.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import eie
import eie.errors
from eie.boards.board import Board
from eie.boards.board import board as board_by_name
from eie.compression.report import sqnr_db
from eie.cycle_model.timed_device import TimedDevice
from eie.network.graph_model import GraphModel
from eie.program.recurrent import pack_recurrent


@dataclass(frozen=True)
class Network:
    """Recurrent layers: module of torch, inputs and outputs of a time step, layers, density, terms."""

    module: str
    columns: int
    hidden: int
    layers: int = 1
    density: float = 1.0
    terms: int = 2

    def __str__(self) -> str:
        several = f" x {self.layers}" if self.layers > 1 else ""
        return f"{self.module} {self.columns} -> {self.hidden}{several}"


NETWORKS = {
    "lstm-1024": Network("LSTM", 1024, 1024),
    "lstm-1024-sparse": Network("LSTM", 1024, 1024, density=0.05),
    "gru-768": Network("GRU", 768, 768, layers=2),
    "gru-768-sparse": Network("GRU", 768, 768, layers=2, density=0.1),
    "nt-lstm": Network("LSTM", 601, 600),
    "nt-lstm-sparse": Network("LSTM", 601, 600, density=0.1),
    "small": Network("GRU", 16, 32, layers=2),
}
"""Of Spartus and ESE (LSTM-1024), EdgeDRNN (two GRU-768) and EIE (NT-LSTM), dense and pruned."""


def main() -> None:
    arguments = parse_arguments()
    board = board_by_name(arguments.board)
    print(f"{board.title}, {board.config.num_pes} PEs at {board.clock_mhz:g} MHz; {arguments.steps} time steps\n")
    print("| layers | density | terms | SQNR of the outputs | cycles a time step | us | arithmetic | bound |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.names or NETWORKS:
        given = {what: value for what in ("density", "terms") if (value := getattr(arguments, what)) is not None}
        network = replace(NETWORKS[name], **given)
        print(row(network, board, arguments.steps, arguments.shared_gates), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--density", type=float, help="in place of the network's own")
    parser.add_argument("--terms", type=int, help="likewise")
    parser.add_argument("--shared-gates", action="store_true", help="gates share their values (eie.compress)")
    return parser.parse_args()


def row(network: Network, board: Board, steps: int, shared_gates: bool = False) -> str:
    module, x = made(network, steps)
    model = eie.compress(module, None, x, terms=network.terms, method="magnitude", shared_gates=shared_gates)
    wanted = outputs_of(module, x)
    with eie.Accelerator(TimedDevice(board.config)) as accelerator:
        accelerator.run(x[:1], model=model)  # what stays is there from now on
        accelerator.clear_counters()
        got = next(iter(accelerator.run(x, model=model, verify=True).values()))
        counters = accelerator.counters
    each = counters.busy / steps
    cells = (
        f"{network}",
        f"{network.density:.0%}",
        str(network.terms),
        f"{sqnr_db(wanted, got):.1f} dB",
        f"{each:,.0f}",
        f"{each / board.clock_mhz:,.0f}",
        f"{counters.cycles / steps:,.0f}",
        f"{bound(model, board):,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def bound(model: GraphModel, board: Board) -> int:
    """Return the cycles of a step's products: of each its columns, or the most entries of a PE if they are more."""
    products = []
    for layer in itertools.chain.from_iterable(model.sequences.values()):
        packed = pack_recurrent(layer, board.config)
        for gates in packed.together:
            tiles = [tile for row_tile in packed.row_tiles[gates.first] for tile in row_tile.tiles]
            entries = np.sum([tile.entry_counts for tile in tiles], axis=0)
            products.append(max(packed.layers[gates.first].columns, int(entries.max())))
    return sum(products)


def made(network: Network, steps: int) -> tuple[Any, Any]:
    """Return a module of torch, its smallest weights 0, and inputs, shape (T, 1, C)."""
    import torch

    torch.manual_seed(0)
    module = getattr(torch.nn, network.module)(network.columns, network.hidden, network.layers)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if network.density < 1 and name.startswith("weight"):
                parameter[parameter.abs() < parameter.abs().quantile(1 - network.density)] = 0
    return module.eval(), np.random.default_rng(0).standard_normal((steps, 1, network.columns)).astype(np.float32)


def outputs_of(module: Any, x: Any) -> Any:
    import torch

    with torch.no_grad():
        return module(torch.from_numpy(x))[0].numpy()


if __name__ == "__main__":
    warnings.simplefilter("ignore", eie.errors.AccuracyWarning)
    main()
