"""What a refit of a network as a whole begins with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import Compensated


@dataclass(frozen=True)
class Trained:
    """A matrix that learns.

    Parameters
    ----------
    name : str
    units : ndarray, shape (R,), float64, or None
        What the host multiplies its rows by.
    start : Compensated
        What was chosen for it, in these units.
    terms : int
    sizes : ndarray, shape (C,)
        Root mean square of its inputs.
    vectors : int
        How many of them the calibration makes.
    """

    name: str
    units: NDArray[np.float64] | None
    start: Compensated
    terms: int
    sizes: NDArray[np.floating]
    vectors: int


def root_mean_squares(inputs: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return those of vectors, shape (N, C) -> (C,)."""
    squares = np.einsum("nc,nc->c", inputs, inputs, dtype=np.float64)
    found: NDArray[np.float64] = np.sqrt(squares / max(1, len(inputs)))
    return found
