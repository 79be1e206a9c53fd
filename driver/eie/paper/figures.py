"""The figures of the evaluation. Needs matplotlib, the extra "plots".

A colour stands for a network and a marker for a layer of it, so nine benchmarks can be told apart by any eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eie.paper import energy, published
from eie.paper.findings import energy_benchmark
from eie.paper.tables import actual_us, chosen, geometric_mean, theoretical_us
from eie.plots import BLUE, GREY, ORANGE, VERMILLION, require_plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = dict[str, Any]

_GREEN = "#009E73"
_COLOURS = {"Alex": BLUE, "VGG": VERMILLION, "NT": _GREEN}
_MARKERS = ("o", "s", "^")
_WIDTH = 9.0
_BAR = 0.27


def figures(result: Result) -> dict[str, Figure]:
    """Return all figures of an evaluation by the names of their files."""
    require_plots()
    import matplotlib

    makers = {
        "times": _times,
        "utilisation": _utilisation,
        "fig8_queue": _queue,
        "fig9_width": _width,
        "fig10_precision": _precision,
        "fig11_speedup": _speedup,
        "fig12_padding": _padding,
        "fig13_balance": _balance,
    }
    with matplotlib.rc_context({"axes.titlesize": 10}):
        return {name: make(result) for name, make in makers.items()}


def _panels(title: str, count: int, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    for panel in axes:
        panel.grid(True, color="#E4E4E4", lw=0.7)
        panel.set_axisbelow(True)
    return figure, axes


def _style(name: str) -> dict[str, Any]:
    network, _, layer = name.partition("-")
    index = {"6": 0, "7": 1, "8": 2, "We": 0, "Wd": 1, "LSTM": 2}[layer]
    marker = {"marker": _MARKERS[index], "ms": 8 if index == 0 else 5, "mfc": "none" if index == 0 else None}
    return {"color": _COLOURS[network], "ls": "-", "lw": 1.3, **marker}


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8, columnspacing=1
    )


def _powers(axes: Axes, values: Sequence[int], label: str) -> None:
    """Make the x axis logarithmic, with the values themselves as ticks."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(values), [str(v) for v in values])
    axes.minorticks_off()
    axes.set_xlabel(label)


def _groups(axes: Axes, names: Sequence[str], bars: Sequence[tuple[str, str, Sequence[float]]]) -> None:
    """Draw groups of bars: (label, colour, a value for each name), with the values above them."""
    places = np.arange(len(names))
    for i, (label, colour, values) in enumerate(bars):
        x = places + (i - (len(bars) - 1) / 2) * _BAR
        axes.bar(x, values, width=_BAR * 0.94, color=colour, label=label)
    axes.set_xticks(places, names)
    axes.grid(False, axis="x")
    axes.set_xlim(-0.6, len(names) - 0.4)


def _times(result: Result) -> Figure:
    figure, (left, right) = _panels("Times on the paper's machine (64 PEs, 800 MHz): the paper's and ours", 2, 3.7)
    benchmarks = chosen(result)
    names = [b.name for b in benchmarks]
    measured = [result["benchmarks"][name] for name in names]
    for axes, title, paper, ours in (
        (left, "theoretical", [b.theoretical_us for b in benchmarks], [theoretical_us(m) for m in measured]),
        (right, "actual", [b.actual_us for b in benchmarks], [actual_us(m) for m in measured]),
    ):
        _groups(axes, names, [("paper, Table IV", GREY, paper), ("this project, random weights", BLUE, ours)])
        axes.set(title=title, ylabel="microseconds", ylim=(0, 40))
        axes.tick_params(axis="x", labelsize=8, rotation=30)
        for place, (first, second) in enumerate(zip(paper, ours, strict=True)):
            text = f"{second / first - 1:+.0%}"
            axes.annotate(
                text, (place, max(first, second)), (0, 2), textcoords="offset points", ha="center", fontsize=8
            )
    left.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def _utilisation(result: Result) -> Figure:
    figure, (axes,) = _panels("Useful multiply-accumulates per PE and cycle, 64 PEs", 1, 3.8)
    benchmarks = chosen(result)
    names = [b.name for b in benchmarks]
    steps = [result["benchmarks"][name]["steps"] for name in names]
    bars = [
        ("paper, Tables III and IV", GREY, [b.utilisation for b in benchmarks]),
        ("its machine here", ORANGE, [s[0]["utilisation"] for s in steps]),
        ("best machine", BLUE, [s[-1]["utilisation"] for s in steps]),
    ]
    bars = [(label, colour, [*values, geometric_mean(values)]) for label, colour, values in bars]
    _groups(axes, [*names, "geometric\nmean"], bars)
    for container in axes.containers:
        axes.bar_label(container, fmt=lambda v: f"{v:.2f}".lstrip("0"), fontsize=7, padding=1)  # type: ignore[arg-type]
    axes.set(ylabel="utilisation", ylim=(0, 1.18))
    axes.axvline(len(names) - 0.5, color=GREY, lw=0.8)
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="upper left")
    return figure


def _queue(result: Result) -> Figure:
    figure, panels = _panels("Figure 8: load balance against queue depth, 64 PEs", 3, 4.2)
    kinds = (
        ("slots", "no latencies, a column keeps\nits slot until it is worked off"),
        ("paper", "the paper's machine\non this array"),
        ("best", "the best machine"),
    )
    for axes, (kind, title) in zip(panels, kinds, strict=True):
        for name, measured in result["benchmarks"].items():
            axes.plot(result["queue_depths"], measured["queue"][kind], label=name, **_style(name))
        _powers(axes, result["queue_depths"], "queue depth, columns")
        axes.tick_params(axis="x", labelsize=8)
        axes.axvline(8, color=GREY, lw=1, ls=":")
        axes.set(title=title, ylim=(0, 1.03))
    panels[0].set_ylabel("load balance (theoretical / actual time)")
    panels[0].annotate("paper's choice", (8, 0.03), (3, 0), textcoords="offset points", fontsize=8, color="#555555")
    _legend(figure, panels[0])
    return figure


def _width(result: Result) -> Figure:
    name, reads = energy_benchmark(result)
    figure, (left, right) = _panels(f"Figure 9: reads of the sparse-matrix memories on {name}, 64 PEs", 2)
    widths = result["word_bits"]
    counts = [reads[bits] for bits in widths]
    left.plot(widths, [c / 1000 for c in counts], color=BLUE, marker="o", label="reads (left axis)")
    left.set(ylabel="reads, thousands", ylim=(0, max(counts) / 1000 * 1.12), title="reads, and energy of one")
    cost = left.twinx()
    each = [energy.read_energy_pj(bits) for bits in widths]
    cost.plot(widths, each, color=VERMILLION, marker="s", ls="--", label="energy of a read (right axis)")
    cost.set(ylabel="energy of a read, pJ", ylim=(0, max(each) * 1.12))
    left.legend(
        [*left.get_lines(), *cost.get_lines()],
        [str(line.get_label()) for line in (*left.get_lines(), *cost.get_lines())],
        frameon=False,
        fontsize=8,
        loc="lower right",
    )
    bounds = energy.fixed_bits_range(reads, published.WORD_BITS)
    curves = [_totals(reads, fixed) for fixed in (*bounds, energy.FIXED_BITS)]
    right.fill_between(
        widths,
        curves[0],
        curves[1],
        color=ORANGE,
        alpha=0.35,
        lw=0,
        label=f"with {bounds[0]:.0f} to {bounds[1]:.0f} bits: 64-bit words are best",
    )
    label = f"fixed part of a read worth {energy.FIXED_BITS:.0f} bits of width (assumed)"
    right.plot(widths, curves[2], color="black", marker="o", label=label)
    right.set(ylabel="energy of all reads, nJ", ylim=(0, max(map(max, curves)) * 1.25), title="energy of all reads")
    handles, labels = right.get_legend_handles_labels()
    right.legend(handles[::-1], labels[::-1], frameon=False, fontsize=8, loc="upper left")
    for axes in (left, right):
        _powers(axes, widths, "word width, bits")
        axes.axvline(published.WORD_BITS, color=GREY, lw=1, ls=":")
    return figure


def _totals(reads: dict[int, int], fixed: float) -> list[float]:
    return [count * energy.read_energy_pj(bits, fixed) / 1000 for bits, count in reads.items()]


def _precision(result: Result) -> Figure:
    found = result["precision"]
    title = f"Figure 10: accuracy against arithmetic precision, LeNet-300-100 on {found['images']:,} MNIST images"
    figure, (left, right) = _panels(title, 2)
    bits = found["bits"]
    left.axhline(found["float32"], color="black", lw=1, ls="--", label=f"float32: {found['float32']:.2f} %")
    left.plot(bits, found["per_tensor"], color=BLUE, marker="o", label="a format for each tensor")
    left.plot(bits, found["single"], color=ORANGE, marker="s", label="one format for all")
    _powers(left, sorted(bits), "bits of weights and activations")
    left.tick_params(axis="x", labelsize=8)
    left.set(ylabel="digits recognised, %", ylim=(0, 104))
    left.legend(frameon=False, fontsize=8, loc="lower right")
    kinds = ("float32", "int32", "int16", "int8")
    costs = [energy.multiply_energy_pj(kind) for kind in kinds]
    bars = right.bar(kinds, costs, color=[GREY, BLUE, BLUE, BLUE], width=0.6)
    right.bar_label(bars, fmt="%.2f", fontsize=9, padding=2)
    right.set(
        ylabel="energy of a multiplication, pJ",
        ylim=(0, 4.3),
        title="Table I; int16 by the text, int8 by width squared",
    )
    right.grid(False, axis="x")
    return figure


def _speedup(result: Result) -> Figure:
    pes = result["pes"]
    figure, (left, right) = _panels("Figure 11: speed-up against processing elements, the paper's machine", 2, 4.2)
    left.plot(pes, [p / pes[0] for p in pes], color="black", lw=1, ls="--")
    right.axhline(1, color="black", lw=1, ls="--")
    right.annotate("linear", (pes[0], 1), (0, 4), textcoords="offset points", fontsize=8)
    for name, measured in result["benchmarks"].items():
        first = measured["pes"][0]["cycles"]
        speedup = [first / p["cycles"] for p in measured["pes"]]
        left.plot(pes, speedup, label=name, **_style(name))
        right.plot(pes, [s * pes[0] / p for s, p in zip(speedup, pes, strict=True)], **_style(name))
    left.set_yscale("log", base=2)
    left.set_yticks(pes, [str(p) for p in pes])
    left.set_ylabel(f"speed-up over {pes[0]} PE")
    right.set(ylabel="speed-up / PEs", ylim=(0, None))
    for axes in (left, right):
        _powers(axes, pes, "processing elements")
        axes.tick_params(labelsize=8)
    _legend(figure, left)
    return figure


def _padding(result: Result) -> Figure:
    title = "Figure 12: real work (entries that are no padding) against processing elements, 4-bit indices"
    return _against_pes(result, title, "real work / all entries", "real_work")


def _balance(result: Result) -> Figure:
    title = "Figure 13: load balance against processing elements, queue of 8"
    return _against_pes(result, title, "load balance (theoretical / actual time)", "load_balance")


def _against_pes(result: Result, title: str, label: str, key: str) -> Figure:
    figure, (axes,) = _panels(title, 1, 4.0)
    for name, measured in result["benchmarks"].items():
        axes.plot(result["pes"], [p[key] for p in measured["pes"]], label=name, **_style(name))
    _powers(axes, result["pes"], "processing elements")
    axes.set(ylabel=label, ylim=(0, 1.03))
    _legend(figure, axes)
    return figure
