"""Compression of a recurrent layer: each of its gates as a layer with fixed scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from eie.arguments import real_array
from eie.compression.allocation import checked
from eie.compression.layers import by_magnitude, fixed_point
from eie.compression.scaling import activation_fraction_bits
from eie.contract.fixed_point import ACTIVATION_MAX
from eie.errors import NetworkError
from eie.network.cells import CELLS
from eie.network.recurrent import GRU, LSTM
from eie.network.recurrent_model import MOST_STATE_BITS, RecurrentModel

_NORMAL_PEAK = 4.0
"""Of inputs for want of a calibration: standard normal ones."""


def compress_recurrent(
    network: LSTM | GRU,
    density: Any,
    calibration: Any,
    sharing: str,
    terms: Any,
    headroom: float,
    name: str,
    progress: Callable[[int, str], None] | None,
) -> RecurrentModel:
    """Compress an LSTM or GRU by magnitude; arguments are those of `eie.compress`.

    Only the largest input of the calibration counts, an array of any shape whose last axis is C: inputs and hidden
    state share their fraction bits, and those of the gates are given by sigmoid and tanh.
    """
    if terms not in (1, 2):
        raise NetworkError(f"terms={terms!r}; the gates of a recurrent layer have 1 or 2")
    share = None if density is None else checked(density, "the network")
    peak = _NORMAL_PEAK
    if calibration is not None:
        inputs = real_array(calibration, "calibration", NetworkError)
        if inputs.ndim == 0 or inputs.shape[-1] != network.columns or not inputs.size:
            raise NetworkError(f"calibration has shape {inputs.shape}; the layer takes (..., {network.columns})")
        peak = float(np.abs(inputs).max())
    bits = min(MOST_STATE_BITS, activation_fraction_bits(peak * headroom))
    if bits < 0:
        raise NetworkError(f"inputs up to {peak:.3g} leave the hidden state no fraction bit; scale the inputs down")
    tell = progress or (lambda gate, stage: None)
    cell = CELLS[network.kind]
    layers = []
    for number, (gate, dense) in enumerate(zip(cell.gates, network.dense_gates(), strict=True)):
        count = None if share is None else round(share * dense.weight.size)
        chosen = by_magnitude(dense, count, sharing, partial(tell, number), terms)
        output_peak = math.ldexp(ACTIVATION_MAX, -gate.fraction_bits)
        layers.append(fixed_point(chosen, False, bits, output_peak, dense.name))
    return RecurrentModel(network.kind, network.columns, network.hidden, layers, name)
