"""The Pareto plot of an exploration. Needs matplotlib, the extra "explore" or "plots".

Colours are those of Okabe and Ito, which people with any colour vision tell apart; shapes tell the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eie.boards.board import Board
from eie.boards.fpga import device_of
from eie.exploration import pareto
from eie.plots import BLUE, GREY, ORANGE, VERMILLION, require_plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

_GREEN = "#009E73"
_MARKS = {
    "luts": (BLUE, "o"),
    "ramb36": (ORANGE, "s"),
    "dsps": (_GREEN, "^"),
    "flip_flops": ("#CC79A7", "D"),
    "slicem_luts": ("#56B4E9", "v"),
    "ultra_rams": ("#F0E442", "P"),
}
_SHORT = {"num_pes": "PEs", "queue_depth": "queue", "index_bits": "index bits", "entries_per_word": "per word"}
_MOST_LABELS = 14
_ONE_PLACE = 0.025
"""Share of the axes below which two points get one label."""


def pareto_figure(
    rows: Sequence[Row], boards: Sequence[Board], varied: Sequence[str], title: str, loading: bool = False
) -> Figure:
    """Return a figure of time against resources, a panel for every board.

    Parameters
    ----------
    rows : sequence of dict
        An exploration's.
    boards : sequence of Board
    varied : sequence of str
        Parameters that tell the arrays apart.
    title : str
    loading : bool
        See `eie.exploration.pareto.time_us`.
    """
    require_plots()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 1.1 + 5.0 * len(boards)), layout="constrained")
    figure.suptitle(title, fontsize=12)
    for axes, board in zip(figure.subplots(len(boards), 1, squeeze=False)[:, 0], boards, strict=True):
        _draw(axes, rows, board, varied, loading)
    return figure


def _draw(axes: Axes, rows: Sequence[Row], board: Board, varied: Sequence[str], loading: bool) -> None:
    limits = [pareto.limit_of(row, board) for row in rows]
    times = [pareto.time_us(row, board, loading) for row in rows]
    for name, (colour, marker) in _MARKS.items():
        inside = [i for i, (limit, share) in enumerate(limits) if limit == name and share <= 1]
        outside = [i for i, (limit, share) in enumerate(limits) if limit == name and share > 1]
        style: dict[str, Any] = {"ls": "none", "marker": marker, "ms": 6}
        if inside:
            x, y = [100 * limits[i][1] for i in inside], [times[i] for i in inside]
            axes.plot(x, y, color=colour, mec="white", mew=0.5, label=f"{pareto.LIMITS[name]} scarcest", **style)
        if outside:
            x, y = [100 * limits[i][1] for i in outside], [times[i] for i in outside]
            label = f"does not fit: {pareto.LIMITS[name]}"
            axes.plot(x, y, mfc="none", mec=GREY, alpha=0.7, label=label, **style)
    axes.set(xscale="log", yscale="log")
    axes.margins(x=0.12)
    front = pareto.pareto_front(rows, board, loading)
    x, y = (
        [100 * pareto.limit_of(row, board)[1] for row in front],
        [pareto.time_us(row, board, loading) for row in front],
    )
    _draw_front(axes, x, y, [describe(row, varied) for row in front])
    axes.axvline(100, color=VERMILLION, lw=1.5, label=f"limit of the {board.title}")
    low, high = axes.get_xlim()
    high = max(high, 130.0)
    axes.axvspan(100, high, color=VERMILLION, alpha=0.07, lw=0)
    axes.set_xlim(low, high)
    fitting = sum(board.name in row["fits"].split() for row in rows)
    axes.set_title(f"{board.title}: {fitting:,} of {len(rows):,} arrays fit", fontsize=11)
    axes.set_xlabel(f"share of the scarcest resource of {device_of(board.part).name} (estimate), %")
    what = "time of an inference, loading included (at least)," if loading else "time to compute an inference"
    axes.set_ylabel(f"{what} at {board.clock_mhz} MHz, µs")
    _plain_ticks(axes)
    axes.grid(which="major", color="#DDDDDD", lw=0.6)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8.5, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, borderaxespad=0)


def _draw_front(axes: Axes, x: Sequence[float], y: Sequence[float], names: Sequence[str]) -> None:
    """Draw the front as a staircase, for between two of its arrays there is none; number its arrays and list them."""
    if not names:
        return
    axes.plot(x, y, color="black", lw=1.2, drawstyle="steps-post", label="Pareto front", zorder=1.5)
    step = -(-len(names) // _MOST_LABELS)
    spans = np.diff(np.log([axes.get_xlim(), axes.get_ylim()]), axis=1)[:, 0]
    # Every so many, counted from the fastest, which is the one that is looked for first.
    chosen = sorted(range(len(names) - 1, -1, -step))
    lines: list[str] = []
    labels: list[tuple[str, NDArray[np.float64], tuple[float, float]]] = []
    for number, index in enumerate(chosen, 1):
        lines.append(f"{number}: {names[index]}: {y[index]:,.4g} µs, {x[index]:.0f} %")
        place = np.log([x[index], y[index]]) / spans
        if labels and np.abs(place - labels[-1][1]).max() < _ONE_PLACE:
            labels[-1] = (f"{labels[-1][0]}, {number}", *labels[-1][1:])
        else:
            labels.append((str(number), place, (x[index], y[index])))
    for text, _, point in labels:
        axes.annotate(text, point, (-5, -4), textcoords="offset points", ha="right", va="top", fontsize=9)
    head = "on the front" + (f" ({len(chosen)} of {len(names)})" if step > 1 else "")
    axes.text(
        1.01, 0.0, "\n".join([head, *lines]), transform=axes.transAxes, fontsize=8.5, va="bottom", linespacing=1.35
    )


def describe(row: Row, varied: Sequence[str]) -> str:
    """Return a few words that tell an array from the others."""
    words = []
    for name in varied or ("num_pes",):
        value, text = row[name], _SHORT.get(name, name.replace("_", " "))
        words.append(text if value is True else f"no {text}" if value is False else f"{value} {text}")
        if name in ("queue_depth", "entries", "pointers", "rows", "activations", "banks", "codebooks"):
            words[-1] = f"{text} {value}"
    return ", ".join(words)


def _plain_ticks(axes: Axes) -> None:
    """Write 10 and 200, not powers of ten; where an axis spans less than a decade, its ticks between as well."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        subs = (1.0, 2.0, 5.0) if high / low > 12 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axis.set_minor_formatter(NullFormatter())
