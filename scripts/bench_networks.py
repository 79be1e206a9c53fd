"""Real networks on the array of a board: cycles and utilisation layer by layer, inferences a second, what bounds them.

    python scripts/bench_networks.py [NAME ...] [--board pynq-z2] [--density 0.25] [--batch 1]

resnet-8 and ds-cnn are MLPerf Tiny's with random weights, pruned to the density; ad is
MLPerf Tiny's autoencoder with its own weights (../shared/data/anomaly_detection), pruned likewise. Cycles are those of
the cycle model, which are the hardware's; the host's part is not in them. Of a batch they are those of one inference:
weights that do not stay are brought once for all.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import eie
import eie.errors
from eie.boards.board import board as board_by_name
from eie.contract.fixed_point import quantise
from eie.cycle_model.timed_device import TimedDevice
from eie.field.published import ROWS
from eie.network.graph_model import GraphModel

AD = Path(__file__).resolve().parents[2] / "shared" / "data" / "anomaly_detection" / "ad01_float.npz"
INPUTS = 8
FPGACONVNET = {row.network.lower(): row for row in ROWS if row.engine == "fpgaConvNet"}
"""What it has published, by the names of `NETWORKS`."""


def main() -> None:
    arguments = parse_arguments()
    board = board_by_name(arguments.board)
    for name in arguments.names or NETWORKS:
        model, x = NETWORKS[name](arguments.density)
        with Meter(TimedDevice(board.config)) as meter:
            for _ in range(2):  # the second time, what fits is there already
                meter.rows.clear()
                meter.measure(x[: arguments.batch], model)
        print("\n".join(report(name, meter.rows, board.config.num_pes, board.clock_mhz, arguments.batch)), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; default: all")
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--density", type=float, default=0.25, help="of the networks with random weights")
    parser.add_argument("--batch", type=int, default=1, choices=range(1, INPUTS + 1), metavar=f"1..{INPUTS}")
    return parser.parse_args()


@dataclass(frozen=True)
class Row:
    """What one product took: vectors, cycles from the first word to the last, cycles of arithmetic, multiplications."""

    name: str
    vectors: int
    busy: int
    arithmetic: int
    broadcasts: int
    work: int


class Meter(eie.Accelerator):
    """An accelerator that notes what each product of a graph takes."""

    rows: list[Row]

    def __init__(self, device: TimedDevice) -> None:
        super().__init__(device)
        self.rows = []

    def measure(self, x: Any, model: Any) -> None:
        """Run a graph, or a chain of layers."""
        if isinstance(model, GraphModel):
            self.run(x, model=model)
        else:
            self.run_raw(quantise(x, model.input_fraction_bits), model=model)

    def run_layers(self, a: Any, *, verify: bool = False, model: eie.Model | None = None) -> Any:
        self.clear_counters()
        outputs = super().run_layers(a, model=model)
        counted = self.counters
        name = model.name if model else ""
        work = int(counted.work.sum())
        self.rows.append(Row(name, len(outputs), counted.busy, counted.cycles, counted.broadcasts, work))
        return outputs


def report(name: str, rows: list[Row], num_pes: int, clock_mhz: float, batch: int = 1) -> list[str]:
    lines = [
        f"{name}: {num_pes} PEs at {clock_mhz:g} MHz, an inference of a batch of {batch}",
        "",
        "| layer | vectors | cycles | arithmetic | PEs busy |",
    ]
    lines.append("|---|---|---|---|---|")
    rows = [Row(row.name, *(-(-value // batch) for value in astuple(row)[1:])) for row in rows]
    total = Row(
        "all",
        *(sum(getattr(row, key) for row in rows) for key in ("vectors", "busy", "arithmetic", "broadcasts", "work")),
    )
    for row in (*rows, total):
        share = row.work / (num_pes * row.busy)
        lines.append(f"| {row.name} | {row.vectors:,} | {row.busy:,} | {row.arithmetic:,} | {100 * share:.0f} % |")
    reached = f"{clock_mhz * 1e6 / total.busy:,.0f} inferences a second"
    if name in FPGACONVNET:
        reached += f" (fpgaConvNet on a {FPGACONVNET[name].board}: {FPGACONVNET[name].rate:,})"
    bounds = {
        "transfers: windows, weights that do not stay, instructions": total.busy - total.arithmetic,
        "broadcasts": total.broadcasts,
        "multiplications, if spread evenly": -(-total.work // num_pes),
    }
    return [*lines, "", reached, *(f"- {what}: {cycles:,} cycles" for what, cycles in bounds.items()), ""]


# The networks, each with an input.


def resnet8(density: float) -> tuple[GraphModel, Any]:
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1)
            self.short = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.second(torch.relu(self.first(x))) + self.short(x))

    torch.manual_seed(0)
    body = [Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)]
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), *body, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10)
    )
    return pruned(module, (3, 32, 32), density)


def ds_cnn(density: float) -> tuple[GraphModel, Any]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.ZeroPad2d((1, 1, 4, 5)), nn.Conv2d(1, 64, (10, 4), 2), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(64, 64, 3, 1, 1, groups=64), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU()]
    module = nn.Sequential(*layers, nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(64, 12))
    return pruned(module, (1, 49, 10), density)


def pruned(module: Any, shape: tuple[int, ...], density: float) -> tuple[GraphModel, Any]:
    x = np.random.default_rng(0).random((INPUTS, *shape)).astype(np.float32)
    return eie.compress(module.eval(), density, x), x


def ad(density: float, vectors: int = INPUTS) -> tuple[Any, Any]:
    with np.load(AD) as arrays:
        x = windows(arrays["spectrogram"])
        layers = [
            eie.Dense(arrays[f"weight{i}"], arrays[f"bias{i}"], "relu" if i < 9 else None, f"dense {i}")
            for i in range(10)
        ]
    return eie.compress(layers, density, x), x[:vectors]


def windows(spectrogram: np.ndarray) -> np.ndarray:
    """Return five frames after one another as one vector, for every frame."""
    frames = spectrogram.reshape(-1, 128)
    return np.stack([frames[i : i + 5].ravel() for i in range(len(frames) - 4)]).astype(np.float32)


NETWORKS: dict[str, Callable[[float], tuple[Any, Any]]] = {
    "resnet-8": resnet8,
    "ds-cnn": ds_cnn,
    "ad": ad,
}


if __name__ == "__main__":
    warnings.simplefilter("ignore", eie.errors.AccuracyWarning)
    main()
