"""What each network takes on each board, and the page that sets it beside what others have published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from eie.boards.board import board as board_by_name
from eie.boards.resources import Resources
from eie.boards.resources import estimate as estimate_resources
from eie.cycle_model.throughput import estimate
from eie.field.networks import SEED, TASKS, Task
from eie.field.published import BOARD_POWER, ROWS, Published

BOARDS = ("pynq-z2", "zcu104", "kv260")
TITLES = {
    "keywords": "Keyword spotting",
    "anomalies": "Anomaly detection",
    "images": "Images",
    "recurrent": "LSTM and GRU",
    "paper": "The paper's layers",
    "language": "A language model",
}
REMARKS = {
    "keywords": (
        "FINN builds this one network into the fabric, a layer a stage, all at work at once. Here one array does "
        "the layers in turn and takes any network without a new build. Dense, arithmetic bounds it, and FINN wins "
        "on the same board, and by more on the AUP-ZU3; with half of the weights pruned the array is ahead on the "
        "PYNQ-Z2."
    ),
    "anomalies": (
        "On this topology the array is ahead of hls4ml: a layer of 72 x 72 has 81 entries a PE. Its weights are "
        "random here, so nothing is said of quality."
    ),
    "images": (
        "Not the same task: the others compute convolutional networks on CIFAR-10, ours is a small network on "
        "MNIST. With ResNet-8 at a density of 0.25 fpgaConvNet wins by 2.8 times: the array takes 877 pictures a "
        "second on the PYNQ-Z2, in batches of 8 (`scripts/bench_networks.py resnet-8`, random weights, without "
        "the host's part)."
    ),
    "recurrent": (
        "Whole cells, a time step an inference, states kept on the array. Where the weights do not fit the board's "
        "memories they are streamed with every step, and the DMA bounds it: Spartus, which keeps them on chip and "
        "skips what has not changed in time, wins by far, and so do ESE, on a larger chip, and EdgeDRNN, which streams "
        "a larger network from the same kind of memory faster. What fits is fast: all of ours on boards with UltraRAM, "
        "the last one on the PYNQ-Z2. Their gates share values, so that they are multiplied together. What outputs "
        "lose against PyTorch's: `scripts/bench_recurrent.py`."
    ),
    "paper": (
        "The chip holds 128 K entries a PE and runs at 800 MHz; a board streams layers of this size, and the chip "
        "wins by two orders of magnitude."
    ),
    "language": (
        "The largest of the 21 products of a token of stories260K; `examples/stories.py` runs the whole model, "
        "whose size is no match for the others'. No language model on a Zynq-7020 is published."
    ),
}
"""Why the rows of a task differ, and who wins."""


@dataclass(frozen=True)
class Row:
    """A network on a board, simulated.

    Parameters
    ----------
    task, network, board, quality, bound : str
    clock_mhz, rate, latency_us : float
    resident : bool
    resources : str
    microjoules : tuple of float
        Least and most energy of an inference, by the power of the board (`BOARD_POWER`).
    """

    task: str
    network: str
    board: str
    quality: str
    bound: str
    clock_mhz: float
    rate: float
    latency_us: float
    resident: bool
    resources: str
    microjoules: tuple[float, float]


def compute(progress: Callable[[str], None] = lambda text: None, tasks: Iterable[Task] = TASKS) -> list[Row]:
    """Compute our rows: every task on every board."""
    rows = []
    for task in tasks:
        model = task.make()
        for name in BOARDS:
            progress(f"{task.network} on {name}")
            board = board_by_name(name)
            found = estimate(model, board, density=task.density, seed=SEED)
            slowest = max(found.layers, key=lambda layer: layer.cycles)
            taken = estimate_resources(board.config)
            low, high = (1e6 * watts / found.frames_per_second for watts in BOARD_POWER[board.title].watts)
            rows.append(
                Row(
                    task.task,
                    task.network,
                    board.title,
                    task.quality,
                    slowest.bound,
                    found.clock_mhz,
                    found.frames_per_second,
                    found.latency_microseconds,
                    found.resident,
                    _resources(taken),
                    (low, high),
                )
            )
    return rows


def _resources(taken: Resources) -> str:
    ultra_rams = f", {taken.ultra_rams} UltraRAM" if taken.ultra_rams else ""
    return f"{taken.luts / 1000:.0f}K LUT, {taken.dsps:g} DSP, {taken.ramb36:g} RAMB36{ultra_rams}"


def to_dict(rows: list[Row]) -> dict[str, Any]:
    """Return both sides, ready for JSON."""
    return {"ours, simulated": [asdict(row) for row in rows], "published": [asdict(row) for row in ROWS]}


def markdown(rows: list[Row]) -> str:
    """Return the page; docs/field.md is this text."""
    lines = [
        "# Beside the field",
        "",
        "Generated by `eie field -o docs/field.md`; do not edit.",
        "",
        "Our rows are **simulated**: cycles of the cycle model, which equal those of the simulated hardware, at the",
        "clock that the overlay is to be built for. No bitstream has been built and nothing has run on a board. Rates",
        "are those of the array in a batch; what the host does between transfers comes on top (`scripts/bench_c.py`).",
        "Resources are estimates. Rows of others are what they have published, with the source.",
        "",
        "Of our rows LeNet-300-100 alone has weights that were trained. The others have random ones in the shapes and",
        "densities of the networks that they are named after; the quality beside them is what this project measured",
        "elsewhere on the real network, not on these weights.",
        "",
        "Energy is the power of the board under another's load over our rate: a range to expect, not a measurement. A",
        "busy array may take more. The power of each board, with its source:",
        "",
        *(
            f"- {name}: {low:.2f} to {high:.2f} W ({power.source})"
            for name, power in BOARD_POWER.items()
            for low, high in [power.watts]
        ),
    ]
    for task, title in TITLES.items():
        header = "| | board, clock | network | a second | latency, us | quality | bound by | resources | uJ | source |"
        lines += ["", f"## {title}", "", header]
        lines += ["|---|---|---|---:|---:|---|---|---|---:|---|"]
        lines += [_ours(row) for row in rows if row.task == task]
        lines += [_theirs(row) for row in ROWS if row.task == task]
        lines += ["", REMARKS[task]]
    return "\n".join(lines) + "\n"


def _ours(row: Row) -> str:
    place = "resident" if row.resident else "streamed"
    energy = " to ".join(f"{value:,.1f}" for value in row.microjoules)
    return (
        f"| **EIE, simulated** | {row.board}, {row.clock_mhz:g} MHz | {row.network} ({place}) | {row.rate:,.0f} | "
        f"{row.latency_us:,.1f} | {row.quality} | {row.bound} | {row.resources} | {energy} | this command |"
    )


def _theirs(row: Published) -> str:
    rate = "-" if row.rate is None else f"{row.rate:,.{0 if row.rate >= 100 else 1}f}"
    energy = "-" if row.microjoules is None else f"{row.microjoules:,.1f}"
    return (
        f"| {row.engine} | {row.board} | {row.network} | {rate} | - | {row.quality or '-'} | - | "
        f"{row.resources or '-'} | {energy} | {row.source} |"
    )
