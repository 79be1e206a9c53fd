"""What a user should hear of a compressed network that no longer computes what the given one did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from eie.compression.report import CompressionReport, LayerReport
from eie.compression.sharing import SHARED_VALUES
from eie.network.model import Dense

USEFUL_DB = 10.0
"""Output SQNR below which a network no longer computes what it did: the error has a tenth of the signal's power."""

UNEVEN_COLUMNS = 100.0
"""Factor between a layer's largest column and its usual ones from which the scales of its inputs are to blame."""

_NAMED = 3
"""Most layers that a warning names."""

_FEW = 4
"""Vectors of which fewer say nothing of a layer's range."""


def accuracy_warnings(
    layers: Sequence[Dense],
    report: CompressionReport,
    shared_anew: Mapping[str, int],
    calibrated: bool,
    vectors: Mapping[str, int] | None = None,
) -> list[str]:
    """Return the warnings that are due.

    Parameters
    ----------
    layers : sequence of Dense
        The given network; none of a graph.
    report : CompressionReport
    shared_anew : mapping of str to int
        Layers that were to keep their own zeros and have more values than their one codebook holds, and how many.
    calibrated : bool
        Whether there were calibration inputs.
    vectors : mapping of str to int, optional
        How many each layer of a graph was given while it was fitted.
    """
    found = [_values_lost(report, shared_anew)] if shared_anew else []
    if few := [name for name, count in (vectors or {}).items() if count < _FEW]:
        found.append(_seen_little(few, vectors or {}))
    if report.output_sqnr_db < USEFUL_DB:
        inputs = "calibration inputs" if calibrated else "standard normal inputs, for there were no calibration inputs"
        found.append(
            f"the compressed network no longer computes what the given one did: its outputs have an SQNR of "
            f"{report.output_sqnr_db:.1f} dB on {inputs} (below {USEFUL_DB:g}); {_cause(layers, report, calibrated)}"
        )
    elif lost := [row for row in report.layers if row.output_sqnr_db is not None and row.output_sqnr_db < USEFUL_DB]:
        upto = CompressionReport(report.layers[: report.layers.index(lost[0]) + 1])
        found.append(
            f"layer {lost[0].name!r} no longer computes what it did: its outputs have an SQNR of "
            f"{lost[0].output_sqnr_db:.1f} dB (below {USEFUL_DB:g}), though the network's keep more; "
            f"{_cause(layers, upto, calibrated)}"
        )
    return found


def _seen_little(few: Sequence[str], vectors: Mapping[str, int]) -> str:
    """Say which layers the calibration, or what stood for it, hardly reaches."""
    count = vectors[few[0]]
    others = f", and {len(few) - 1} more hardly any" if len(few) > 1 else ""
    return (
        f"layer {few[0]!r} saw {count} vector{'s' * (count != 1)} while it was fitted{others}: how large its inputs "
        "and outputs become is a guess, and so is the report; give more calibration inputs"
    )


def _values_lost(report: CompressionReport, shared_anew: Mapping[str, int]) -> str:
    """Say that density None keeps zeros, not values, of how many layers, and what it costs."""
    rows = {row.name: row for row in report.layers}
    named = [f"layer {name!r} has {shared_anew[name]:,} distinct weights" for name in list(shared_anew)[:_NAMED]]
    more = [f"{len(shared_anew) - _NAMED} more layers have too many"] if len(shared_anew) > _NAMED else []
    ratios = [rows[name].weight_sqnr_db or rows[name].output_sqnr_db for name in shared_anew]
    least = min((ratio for ratio in ratios if ratio is not None), default=math.inf)
    what = "outputs" if rows[next(iter(shared_anew))].weight_sqnr_db is None else "weights"
    return (
        f"{', '.join(named + more)}, a codebook holds {SHARED_VALUES}: density None keeps their zeros, not their "
        f"values, and sharing leaves the {what} an SQNR of {least:.1f} dB; terms=2 has 255 values, for up to twice the "
        "work"
    )


def _cause(layers: Sequence[Dense], report: CompressionReport, calibrated: bool) -> str:
    """Name the stage that costs most, the layer where it begins, and what helps."""
    last = report.layers[-1]
    if last.pruning_sqnr_db is None:  # of a graph, layers tell no more than their outputs
        return "keep more weights, or give more calibration inputs"
    stages = {"pruning": last.pruning_sqnr_db, "sharing": last.sharing_sqnr_db, "fixed point": last.fixed_point_sqnr_db}
    stage, ratio = min(stages.items(), key=lambda item: math.inf if item[1] is None else item[1])
    remedy = {
        "pruning": "keep more weights"
        + ("" if calibrated else ", or give calibration inputs, so that the kept weights make up for it"),
        "sharing": "15 shared values are too few for a layer"
        + ("" if calibrated else "; calibration inputs would let the values make up for it"),
        "fixed point": "give calibration inputs like those that it will see, or less headroom",
    }[stage]
    first = _first(report.layers, stage)
    column, factor = _largest_column(layers[report.layers.index(first)])
    if stage != "pruning" and factor > UNEVEN_COLUMNS:
        remedy = (
            f"the weights of its column {column} are {factor:.2g} times as large as most columns': bring that input to "
            "the scale of the others"
        )
    return f"{stage} costs most ({ratio:.1f} dB), from layer {first.name!r} on: {remedy}"


def _largest_column(layer: Dense) -> tuple[int, float]:
    """Return the column with the largest weight, and how large that is, in units of the median of all columns."""
    peaks = np.abs(layer.weight).max(axis=0)
    column, usual = int(peaks.argmax()), float(np.median(peaks))
    return column, float(peaks[column]) / usual if usual else 1.0


def _first(rows: Sequence[LayerReport], stage: str) -> LayerReport:
    """Return the first layer after which a stage leaves no more than it does in the end, or the worst."""
    field = f"{stage.replace(' ', '_')}_sqnr_db"
    ratios = [math.inf if getattr(row, field) is None else getattr(row, field) for row in rows]
    below = [row for row, ratio in zip(rows, ratios, strict=True) if ratio < USEFUL_DB]
    return below[0] if below else rows[int(np.argmin(ratios))]
