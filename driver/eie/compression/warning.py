"""What a user should hear of a compressed network that no longer computes what the given one did."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from eie.compression.report import CompressionReport, LayerReport
from eie.compression.sharing import SHARED_VALUES
from eie.network.model import Dense

USEFUL_DB = 10.0
"""Output SQNR below which a network no longer computes what it did: the error has a tenth of the signal's power."""

UNEVEN_COLUMNS = 100.0
"""Factor between a layer's largest column and its usual ones from which the scales of its inputs are to blame."""

QUANTISED_VALUES = 256
"""Distinct weights up to which a layer is taken for one of a quantised network, which its user may think is kept as it
is. Of more, nobody will."""


def accuracy_warnings(
    layers: Sequence[Dense], report: CompressionReport, kept_zeros: bool, calibrated: bool
) -> list[str]:
    """Return the warnings that are due.

    Parameters
    ----------
    layers : sequence of Dense
        The given network; none of a graph.
    report : CompressionReport
    kept_zeros : bool
        Whether the layers were to keep just their own zeros.
    calibrated : bool
        Whether there were calibration inputs.
    """
    found = []
    for dense, row in zip(layers, report.layers, strict=True) if kept_zeros and layers else ():
        distinct = len(np.unique(dense.weight[dense.weight != 0]))
        if row.terms == 1 and SHARED_VALUES < distinct <= QUANTISED_VALUES:
            found.append(
                f"layer {row.name!r} has {distinct} distinct weights, a codebook holds {SHARED_VALUES}: sharing them "
                f"leaves its weights an SQNR of {row.weight_sqnr_db:.1f} dB; terms=2 has 255, for up to twice the work"
            )
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
