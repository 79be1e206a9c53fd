"""Calibration inputs: typical inputs of a network, with no labels."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError

MEASURED_SAMPLES = 256
"""Most calibration inputs on which the errors of the report are measured."""

_HELD_OUT = 8
"""One in so many calibration inputs is kept from compensation, so that the report is about inputs it never saw."""

_SYNTHETIC_SAMPLES = 64


Calibration = ArrayLike | str | Path | Iterable[Any] | None

MOST_OF_ITERABLE = 4096
"""Inputs taken of an iterable of batches, which may have no end."""


def calibration_inputs(calibration: Calibration, columns: int) -> NDArray[np.float32]:
    """Return calibration inputs, shape (B, C), float32; standard normal ones if there are none.

    Raises
    ------
    NetworkError
        If they are no real numbers, not finite, or not of the network's shape.
    """
    if calibration is None:
        return frozen_random(0).standard_normal((_SYNTHETIC_SAMPLES, columns)).astype(np.float32)
    inputs = real_array(_read(calibration), "calibration", NetworkError)
    if inputs.ndim > 2 and len(inputs):  # in the network's own shape, say (N, 1, 28, 28)
        inputs = inputs.reshape(len(inputs), -1)
    if inputs.ndim != 2 or inputs.shape[1] != columns or len(inputs) == 0:
        raise NetworkError(f"calibration has shape {inputs.shape}; the network needs (at least 1, {columns})")
    with np.errstate(over="ignore"):
        inputs = inputs.astype(np.float32, copy=False)
    if not np.isfinite(inputs).all():
        raise NetworkError("calibration holds NaN, infinity or values beyond float32")
    return inputs


def _read(calibration: Any) -> Any:
    """Return what a path or an iterable of batches holds as an array; anything else as it is."""
    if isinstance(calibration, (str, Path)):
        return _read_path(Path(calibration))
    if hasattr(calibration, "__array__") or isinstance(calibration, (list, tuple)) or not _is_lazy(calibration):
        return calibration
    batches: list[NDArray[Any]] = []
    for batch in calibration:
        first = batch[0] if isinstance(batch, (list, tuple)) and batch else batch
        inputs = real_array(first, "a batch of the calibration", NetworkError)
        if inputs.ndim == 0 or not len(inputs):
            raise NetworkError(f"a batch of the calibration has shape {inputs.shape}; it must hold inputs")
        batches.append(inputs.reshape(len(inputs), -1))
        if batches[-1].shape[1] != batches[0].shape[1]:
            sizes = f"{batches[0].shape[1]} and {batches[-1].shape[1]}"
            raise NetworkError(f"the inputs of the calibration are of {sizes} values; all batches must be alike")
        if sum(map(len, batches)) >= MOST_OF_ITERABLE:
            break
    if not batches:
        raise NetworkError("calibration is an iterable without batches")
    return np.concatenate(batches)[:MOST_OF_ITERABLE]


def _is_lazy(calibration: Any) -> bool:
    """Tell iterables of batches, such as a torch DataLoader, from what numpy takes for an array."""
    return hasattr(calibration, "__iter__") and not isinstance(calibration, (dict, bytes))


def _read_path(path: Path) -> NDArray[Any]:
    """Read a .npy or .npz file, or all .npy files of a folder in the order of their names."""
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    if not files:
        raise NetworkError(f"calibration {path}: the folder holds no .npy files")
    arrays = []
    for file in files:
        try:
            found = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise NetworkError(f"calibration {file}: not a readable numpy file ({error})") from error
        if not isinstance(found, np.ndarray):
            with found:
                if len(found.files) != 1:
                    raise NetworkError(f"calibration {file}: holds {len(found.files)} arrays; exactly one is needed")
                found = found[found.files[0]]
        arrays.append(found[None] if found.ndim == 1 and path.is_dir() else found)
    if len({array.shape[1:] for array in arrays}) > 1:
        raise NetworkError(f"calibration {path}: its files hold inputs of different shapes; they must be alike")
    return np.concatenate(arrays)


def split(samples: int, hold_out: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which inputs compensation works with, and which the errors are measured on: 256 at most, evenly spread.

    To hold out is to keep those that are measured, an eighth at most, from compensation; of fewer than 8 inputs all
    do both.
    """
    everything = np.arange(samples)
    measured = min(MEASURED_SAMPLES, samples // _HELD_OUT if hold_out else samples) or samples
    held = np.arange(measured) * samples // measured
    return (np.delete(everything, held) if measured < samples and hold_out else everything), held
