"""The demo's figures: the pattern of the weights, the codebook, the work of each PE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.config import CODEBOOK_SIZE, ArrayConfig
from eie.errors import NetworkError
from eie.network.model import Dense, Layer, Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from eie.plots import BLUE, GREY, ORANGE, require_plots

_WIDTH, _BOTTOM, _LEFT, _RIGHT = 9.0, 0.55, 0.75, 0.2
"""Width of a figure and its margins, in inches; the margin at the top depends on the title."""


_TITLE_LINE, _PANEL_TITLE = 0.21, 0.32
"""Heights of a line of a figure's title and of a panel's title, in inches."""


_BINS = 120


_MOST_CELLS = 1200
"""Cells of a sparsity pattern along an axis; a larger layer is drawn as local density."""


def sparsity_figure(model: Model, config: ArrayConfig) -> Figure:
    """Return a figure of which PE holds which non-zero weight, and how many each holds; a panel for every layer."""
    heights = [float(np.clip(layer.rows / 60, 2.2, 5.0)) for layer in model.layers]
    title = (
        f"{model.name}: which of {config.num_pes} PEs holds which non-zero weight\n"
        "(row r belongs to PE r mod N; colours alternate from PE to PE)"
    )
    figure, grid = _panels(title, heights, gap=0.85, sharey="row", width_ratios=(5, 1))
    for layer, (pattern, bars) in zip(model.layers, grid, strict=True):
        _draw_pattern(pattern, layer, config)
        _draw_bars(bars, layer, config)
    return figure


def codebook_figure(model: Model, network: Sequence[Dense]) -> Figure:
    """Return a figure of each layer's shared weights over the histogram of its float weights.

    Parameters
    ----------
    model : Model
    network : sequence of Dense
        What it was compressed from.
    """
    shapes = [layer.weight.shape for layer in network]
    if shapes != [(layer.rows, layer.columns) for layer in model.layers]:
        raise NetworkError(f"the network has layers {shapes}; they are not those of model {model.name!r}")
    title = f"{model.name}: float weights that are kept, and the shared weights that stand for them"
    figure, grid = _panels(title, [2.2] * len(shapes), gap=0.6)
    grid = grid[:, 0]
    for axes, layer, dense in zip(grid, model.layers, network, strict=True):
        _draw_codebook(axes, layer, dense)
    grid[-1].set_xlabel("weight")
    return figure


def work_figure(work: ArrayLike, padding: ArrayLike, inferences: int, title: str = "Work per PE") -> Figure:
    """Return a figure of the entries that each PE worked off for an inference, from the device's counters.

    Parameters
    ----------
    work, padding : array_like, shape (N,)
        See `eie.Counters`.
    inferences : int
        That they were counted over.
    title : str
    """
    weights, fillers = (np.asarray(counts, np.float64) / max(1, inferences) for counts in (work, padding))
    total = weights + fillers
    mean, most = float(total.mean()), float(total.max())
    figure, ((axes,),) = _panels(title, [3.3], gap=0.0)
    pes = np.arange(len(total))
    axes.bar(pes, weights, width=0.85, color=BLUE, label="non-zero weights")
    if fillers.any():
        axes.bar(pes, fillers, width=0.85, bottom=weights, color=ORANGE, label="padding entries")
    label = f"mean {mean:.1f}; the busiest PE has {most:.1f}"
    if most > 0:
        label += f" (mean / busiest = {mean / most:.0%})"
    axes.axhline(mean, color="black", lw=1.2, ls="--", label=label)
    axes.set(xlabel="PE", ylabel="entries worked off per inference", xlim=(-0.7, len(total) - 0.3))
    axes.set_ylim(0, max(1.0, most) * 1.25)
    axes.set_xticks(_pe_ticks(len(total)))
    axes.legend(loc="upper center", ncol=3, frameon=False, fontsize=9)
    return figure


def _panels(
    title: str,
    heights: Sequence[float],
    gap: float,
    width_ratios: Sequence[float] = (1,),
    sharey: Literal["none", "row"] = "none",
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure and its axes, row by row, of the heights and with the gap given in inches.

    Fixed margins do for these figures; matplotlib's layout engines take longer than all the drawing.
    """
    require_plots()
    from matplotlib.figure import Figure

    top = (title.count("\n") + 1) * _TITLE_LINE + _PANEL_TITLE
    height = top + sum(heights) + gap * (len(heights) - 1) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height))
    place = {
        "left": _LEFT / _WIDTH,
        "right": 1 - _RIGHT / _WIDTH,
        "top": 1 - top / height,
        "bottom": _BOTTOM / height,
        "hspace": gap * len(heights) / sum(heights),
        "wspace": 0.08,
        # Here, and not as arguments of their own, for the matplotlib 3.5 of the PYNQ images.
        "height_ratios": heights,
        "width_ratios": width_ratios,
    }
    axes = figure.subplots(len(heights), len(width_ratios), squeeze=False, sharey=sharey, gridspec_kw=place)
    figure.suptitle(title, y=1 - 0.08 / height, va="top", fontsize=11)
    return figure, axes


def _pe_ticks(num_pes: int) -> NDArray[np.intp]:
    return np.arange(0, num_pes, max(1, num_pes // 8))


def _positions(layer: Layer, config: ArrayConfig) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Return the column and the vertical place of each non-zero, PE by PE, and the local rows of a PE."""
    local_rows = -(-layer.rows // config.num_pes)
    columns = np.repeat(np.arange(layer.columns), np.diff(layer.column_starts))
    local, pe = np.divmod(layer.row_indices, config.num_pes)
    return columns, pe.astype(np.intp) * local_rows + local, local_rows


def _draw_pattern(axes: Axes, layer: Layer, config: ArrayConfig) -> None:
    """Draw the weights as cells, rows of a PE side by side, PEs in two colours in turn."""
    columns, places, local_rows = _positions(layer, config)
    height, width = config.num_pes * local_rows, layer.columns
    # Whole PEs and whole columns to a cell, where there are more than can be seen.
    cells = (min(height, max(config.num_pes, _MOST_CELLS)), min(width, _MOST_CELLS))
    counts, _, _ = np.histogram2d(places, columns, bins=cells, range=((0, height), (0, width)))
    strength = (counts / max(1.0, counts.max()))[..., None]
    pe = np.arange(cells[0]) * config.num_pes // cells[0]
    colours = np.array([_rgb(BLUE), _rgb(ORANGE)])[pe % 2][:, None]
    image = 1 - strength * (1 - colours)
    axes.imshow(image, aspect="auto", extent=(0, width, config.num_pes, 0), interpolation="none")
    axes.set(xlabel="column (input activation)", ylabel="PE")
    axes.set_yticks(_pe_ticks(config.num_pes))
    kept = f"{layer.nonzeros:,} of {layer.rows * layer.columns:,} weights ({layer.density:.1%})"
    shade = ", darker: denser" if counts.max() > 1 else ""
    axes.set_title(f"{layer.name or 'layer'}: {layer.rows} x {layer.columns}, {kept}{shade}", fontsize=10)


def _draw_bars(axes: Axes, layer: Layer, config: ArrayConfig) -> None:
    counts = np.bincount(layer.row_indices % config.num_pes, minlength=config.num_pes)
    pes = np.arange(config.num_pes)
    axes.barh(pes + 0.5, counts, height=0.9, color=np.where(pes % 2, ORANGE, BLUE).tolist())
    axes.axvline(counts.mean(), color="black", lw=1.2, ls="--")
    axes.set_xlabel("non-zeros of the PE")
    axes.set_title(f"mean {counts.mean():.0f}, most {counts.max()}", fontsize=9)
    axes.tick_params(labelleft=False)


def _draw_codebook(axes: Axes, layer: Layer, dense: Dense) -> None:
    values = np.ldexp(layer.codebook.astype(np.float64), -layer.weight_fraction_bits)
    counts = np.bincount(layer.codes, minlength=len(values))
    used = np.flatnonzero(counts)
    _draw_histogram(axes, dense.weight[layer.dense_codes() != 0])
    axes.vlines(values[used], 0, counts[used], color=BLUE, lw=1.5)
    axes.plot(
        values[used], counts[used], "o", color=BLUE, ms=5, label="shared weights by code, height: how many share it"
    )
    for code in used:
        axes.annotate(
            str(code), (values[code], counts[code]), (0, 5), textcoords="offset points", ha="center", fontsize=8
        )
    axes.axvline(0, color="black", lw=0.8, ls=":")
    axes.set_ylabel("number of weights")
    axes.set_ylim(0, max(1, int(counts.max())) * 1.18)
    axes.set_title(f"{layer.name or 'layer'}: {layer.nonzeros:,} weights, {len(used)} shared values", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, 1))


def _draw_histogram(axes: Axes, kept: NDArray[np.float32]) -> None:
    if len(kept) == 0:
        return
    width = float(np.ptp(kept)) / _BINS or 1.0
    values, counts = np.unique(kept, return_counts=True)
    if len(values) < CODEBOOK_SIZE:
        axes.bar(values, counts, width=width, color=GREY, label="float weights, shared already in training")
    else:
        axes.hist(
            kept, bins=_BINS, histtype="stepfilled", color=GREY, label=f"float weights, histogram of {_BINS} bins"
        )


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
