"""Calibration inputs: typical inputs of a network, with no labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.arguments import real_array
from eie.errors import NetworkError

MEASURED_SAMPLES = 256
"""Most calibration inputs on which the errors of the report are measured."""

_HELD_OUT = 8
"""One in so many calibration inputs is kept from compensation, so that the report is about inputs it never saw."""

_SYNTHETIC_SAMPLES = 64


def calibration_inputs(calibration: Any, columns: int) -> NDArray[np.float32]:
    """Return calibration inputs, shape (B, C), float32; standard normal ones if there are none.

    Raises
    ------
    NetworkError
        If they are no real numbers, not finite, or not of the network's shape.
    """
    if calibration is None:
        return np.random.default_rng(0).standard_normal((_SYNTHETIC_SAMPLES, columns), dtype=np.float32)
    inputs = real_array(calibration, "calibration", NetworkError)
    if inputs.ndim > 2 and len(inputs):  # in the network's own shape, say (N, 1, 28, 28)
        inputs = inputs.reshape(len(inputs), -1)
    if inputs.ndim != 2 or inputs.shape[1] != columns or len(inputs) == 0:
        raise NetworkError(f"calibration has shape {inputs.shape}; the network needs (at least 1, {columns})")
    with np.errstate(over="ignore"):
        inputs = inputs.astype(np.float32, copy=False)
    if not np.isfinite(inputs).all():
        raise NetworkError("calibration holds NaN, infinity or values beyond float32")
    return inputs


def split(samples: int, hold_out: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which inputs compensation works with, and which the errors are measured on: 256 at most, evenly spread.

    To hold out is to keep those that are measured, an eighth at most, from compensation; of fewer than 8 inputs all
    do both.
    """
    everything = np.arange(samples)
    measured = min(MEASURED_SAMPLES, samples // _HELD_OUT if hold_out else samples) or samples
    held = np.arange(measured) * samples // measured
    return (np.delete(everything, held) if measured < samples and hold_out else everything), held
