"""The tables of the evaluation: the paper's figures beside ours, as values, text, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from eie.paper import energy, published
from eie.paper.benchmarks import BENCHMARKS, CLOCK_MHZ, PES, Benchmark
from eie.text import columns

THEORETICAL_LIMIT, ACTUAL_LIMIT = 0.12, 0.15
"""Largest deviations from Table IV that need no explanation."""

Result = dict[str, Any]
Format = Callable[[Any], str]


@dataclass(frozen=True)
class Table:
    """A table of values, each column with its format.

    Parameters
    ----------
    name : str
        Of its file.
    title : str
    header : sequence of str
    formats : sequence of callable
        From a value to text.
    rows : sequence of sequence
    """

    name: str
    title: str
    header: Sequence[str]
    formats: Sequence[Format]
    rows: Sequence[Sequence[Any]]

    def cells(self) -> list[list[str]]:
        """Return all rows as text; None is a dash."""
        return [["-" if v is None else f(v) for f, v in zip(self.formats, row, strict=True)] for row in self.rows]

    def csv(self) -> str:
        """Return the values, unrounded, as CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(["" if v is None else v for v in row] for row in self.rows)
        return out.getvalue()

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines = [self.header, ["---"] + ["---:"] * (len(self.header) - 1), *self.cells()]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def text(self) -> str:
        """Return the table in columns."""
        return "\n".join(columns([self.header, *self.cells()]))


def tables(result: Result) -> list[Table]:
    """Return all tables of an evaluation."""
    return [
        times_table(result),
        utilisation_table(result),
        ablation_table(result),
        energy_table(result),
        trained_table(result),
        *([trained_table(result, "own_network")] if "own_network" in result else []),
    ]


def chosen(result: Result) -> list[Benchmark]:
    """Return the benchmarks that an evaluation has, in the paper's order."""
    return [b for b in BENCHMARKS if b.name in result["benchmarks"]]


def microseconds(cycles: float) -> float:
    """Return the time of cycles at the paper's clock."""
    return cycles / CLOCK_MHZ


def theoretical_us(measured: Result) -> float:
    """Return the theoretical time on the paper's machine: all entries, padding included, over its PEs."""
    return float(microseconds(measured["steps"][0]["entries"] / PES))


def actual_us(measured: Result) -> float:
    """Return the actual time on the paper's machine."""
    return microseconds(measured["steps"][0]["cycles"])


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs))


def times_table(result: Result) -> Table:
    """Return theoretical and actual microseconds, the paper's and ours (Table IV)."""
    rows = []
    for b in chosen(result):
        measured = result["benchmarks"][b.name]
        theoretical, actual = theoretical_us(measured), actual_us(measured)
        tiles = actual - microseconds(measured["one_tile_cycles"]["paper"])
        rows.append(
            [
                b.name,
                b.theoretical_us,
                theoretical,
                theoretical / b.theoretical_us - 1,
                b.actual_us,
                actual,
                actual / b.actual_us - 1,
                tiles,
            ]
        )
    header = (
        "benchmark",
        "theoretical: paper, us",
        "ours, us",
        "difference",
        "actual: paper, us",
        "ours, us",
        "difference",
        "of which for tiles, us",
    )
    number: list[Format] = [_decimals(1), _decimals(2), _signed_percent]
    return Table("times", "Table IV: times on the paper's machine", header, [str, *number, *number, _decimals(2)], rows)


def utilisation_table(result: Result) -> Table:
    """Return useful multiply-accumulates per PE and cycle: the paper's, ours on its machine, ours at best."""
    rows: list[list[Any]] = []
    for b in chosen(result):
        measured = result["benchmarks"][b.name]
        steps = measured["steps"]
        in_one_tile = measured["products"] / (PES * measured["one_tile_cycles"]["best"])
        values = [steps[0]["utilisation"], steps[-1]["utilisation"], in_one_tile, measured["board"]["utilisation"]]
        best_us = microseconds(steps[-1]["cycles"])
        times = [b.actual_us, actual_us(measured), best_us, b.actual_us / best_us]
        rows.append([b.name, b.utilisation, *values, *times])
    means = [geometric_mean(row[i] for row in rows) for i in range(1, 6)]
    rows.append(["geometric mean", *means, None, None, None, geometric_mean(row[-1] for row in rows)])
    header = (
        "benchmark",
        "paper",
        "paper-mode",
        "best mode",
        "with room for the layer",
        "board's memories",
        "paper, us",
        "paper-mode, us",
        "best mode, us",
        "paper / best mode",
    )
    formats: list[Format] = [str, *[_decimals(3)] * 5, _decimals(1), *[_decimals(2)] * 3]
    return Table("utilisation", "Useful multiply-accumulates per PE and cycle", header, formats, rows)


def ablation_table(result: Result) -> Table:
    """Return the utilisation of each benchmark from the paper's machine to the best one, step by step."""
    names = [b.name for b in chosen(result)]
    rows: list[list[Any]] = []
    for i, step in enumerate(result["steps"]):
        values = [result["benchmarks"][name]["steps"][i]["utilisation"] for name in names]
        mean = geometric_mean(values)
        gain = mean / rows[-1][-2] - 1 if rows else None
        rows.append([step if i == 0 else f"+ {step}", *values, mean, gain])
    formats: list[Format] = [str, *[_decimals(3)] * (len(names) + 1), _signed_percent]
    header = ("machine", *names, "geometric mean", "gain")
    return Table("ablation", "Utilisation, from the paper's machine to the best one", header, formats, rows)


def energy_table(result: Result) -> Table:
    """Return frames per second and energy on the paper's chip, and the speed-up over the paper's CPU."""
    rows = []
    for b in chosen(result):
        measured = result["benchmarks"][b.name]
        of_paper, ours = energy.frames(b.actual_us * CLOCK_MHZ), energy.frames(measured["steps"][0]["cycles"])
        cpu = published.CPU_DENSE_US[b.name]
        rows.append(
            [
                b.name,
                of_paper["frames_per_second"],
                ours["frames_per_second"],
                of_paper["frames_per_joule"],
                ours["frames_per_joule"],
                of_paper["microjoules"],
                ours["microjoules"],
                published.SPEEDUP_OVER_CPU[b.name],
                cpu / b.actual_us,
                cpu / actual_us(measured),
            ]
        )
    header = (
        "benchmark",
        "frames/s: paper",
        "ours",
        "frames/J: paper",
        "ours",
        "uJ a frame: paper",
        "ours",
        "over CPU: Fig. 6",
        "Table IV",
        "ours",
    )
    formats: list[Format] = [str, *[_thousands] * 4, *[_decimals(1)] * 2, *[_decimals(0)] * 3]
    return Table("energy", "Table V and Figure 6: frames, energy, speed-up over the CPU", header, formats, rows)


def trained_table(result: Result, key: str = "trained_network") -> Table:
    """Return what a trained network's layers cost beside random ones of the same density."""
    network = result[key]
    name = "trained" if key == "trained_network" else "own"
    title = f"{network['name']} beside random layers like it, {network['vectors']} vectors"
    rows = []
    for layer in network["layers"]:
        real, random = layer["real"], layer["random"]
        rows.append(
            [
                f"{layer['name']} {layer['columns']} -> {layer['rows']}, {layer['pes']} PEs",
                layer["weight_density"],
                layer["activation_density"],
                layer["products_over_density"],
                real["padding"],
                random["padding"],
                real["load_balance"],
                random["load_balance"],
            ]
        )
    header = (
        "layer",
        "weights",
        "activations",
        "products over densities",
        "padding: trained",
        "random",
        "load balance: trained",
        "random",
    )
    formats: list[Format] = [str, _percent, _percent, _decimals(2), _percent, _percent, _decimals(3), _decimals(3)]
    return Table(name, title, header, formats, rows)


def _decimals(digits: int) -> Format:
    return lambda value: f"{value:,.{digits}f}"


def _percent(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _signed_percent(value: float) -> str:
    return f"{value:+.1%}".replace("%", " %")


def _thousands(value: float) -> str:
    return f"{value:,.0f}"
