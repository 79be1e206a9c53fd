"""Calibration inputs: typical inputs of a network, with no labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array
from eie.compression.samples import SYNTHETIC_SAMPLES
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError

MEASURED_SAMPLES = 256
"""Most calibration inputs on which the errors of the report are measured."""

_HELD_OUT = 8
"""One in so many calibration inputs is kept from compensation, so that the report is about inputs it never saw."""

MOST_OF_ITERABLE, MOST_NUMBERS = 4096, 1 << 24
"""Inputs taken of an iterable of batches, which may have no end, or batches until they have so many numbers."""


def calibration_inputs(calibration: ArrayLike | None, columns: int) -> NDArray[np.float32]:
    """Return calibration inputs of layers, shape (B, C), float32; standard normal ones if there are none.

    Raises
    ------
    NetworkError
        If they are no real numbers, not finite, or not of the network's shape.
    """
    if calibration is None:
        return frozen_random(0).standard_normal((SYNTHETIC_SAMPLES, columns)).astype(np.float32)
    if isinstance(calibration, Mapping) and len(calibration) == 1:
        (calibration,) = calibration.values()
    if isinstance(calibration, Mapping):
        raise NetworkError(f"calibration holds {len(calibration)} arrays; exactly one is needed")
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


def read_calibration(calibration: Any) -> Any:
    """Return what a path or an iterable of batches holds: an array, or arrays by name; anything else as it is.

    Raises
    ------
    NetworkError
        If a file cannot be read, there are no batches, or they do not go together.
    """
    if isinstance(calibration, (str, Path)):
        return _read_path(Path(calibration))
    if hasattr(calibration, "__array__") or isinstance(calibration, (list, tuple)) or not _is_lazy(calibration):
        return calibration
    parts: dict[str | None, list[NDArray[Any]]] = {}
    count = numbers = 0
    for batch in calibration:
        first = batch[0] if isinstance(batch, (list, tuple)) else batch
        named = first if isinstance(first, Mapping) else {None: first}
        arrays = {name: real_array(part, "a batch of the calibration", NetworkError) for name, part in named.items()}
        for name, array in arrays.items():
            parts.setdefault(name, []).append(np.atleast_1d(array))
        count += max(len(np.atleast_1d(array)) for array in arrays.values())
        numbers += sum(array.size for array in arrays.values())
        if count >= MOST_OF_ITERABLE or numbers >= MOST_NUMBERS:
            break
    if not parts:
        raise NetworkError("calibration is an iterable without batches")
    found = {name: _joined(arrays, "calibration")[:MOST_OF_ITERABLE] for name, arrays in parts.items()}
    return found.get(None, found)


def _is_lazy(calibration: Any) -> bool:
    """Tell iterables of batches, such as a torch DataLoader, from what numpy takes for an array."""
    return hasattr(calibration, "__iter__") and not isinstance(calibration, (dict, bytes))


def _read_path(path: Path) -> Any:
    """Read a .npy or .npz file, or all .npy files of a folder in the order of their names."""
    if not path.is_dir():
        return _read_file(path)
    files = sorted(path.glob("*.npy"))
    if not files:
        raise NetworkError(f"calibration {path}: the folder holds no .npy files")
    arrays = [_read_file(file) for file in files]
    return _joined([array[None] if array.ndim == 1 else array for array in arrays], f"calibration {path}")


def _read_file(file: Path) -> Any:
    """Return the array of a file, or several by name."""
    try:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            named = {name: found[name] for name in found.files}
    except Exception as error:  # a damaged file fails in zipfile, zlib, the header's parser or the allocation
        raise NetworkError(f"calibration {file}: not a readable numpy file ({error})") from error
    return next(iter(named.values())) if len(named) == 1 else named


def _joined(arrays: list[NDArray[Any]], what: str) -> NDArray[Any]:
    if len({array.shape[1:] for array in arrays}) > 1:
        raise NetworkError(f"{what}: it holds inputs of different shapes; they must be alike")
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
