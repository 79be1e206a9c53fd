"""The Hessian of a layer's error, from the inputs that the layer is calibrated on.

Changing a row of weights by d changes the row's output by ``d @ x``; with the bias free to take the mean, the mean
square of that over the inputs is ``d @ H @ d``, H being the covariance of the inputs (optimal brain surgeon: Hassibi
and Stork, 1993; for layers: Frantar and Alistarh, "Optimal Brain Compression", 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAMPING = 0.01
"""Added to the diagonal, in units of its mean: what an input that hardly varied is taken to vary all the same.

On top comes as much shrinkage as so few inputs call for (Ledoit and Wolf, "A well-conditioned estimator for
large-dimensional covariance matrices", 2004): next to none for thousands, nearly all for a few of many
independent columns, where compensation would only learn the calibration by heart.
"""

_BLOCK = 1 << 24
_SMALL = 64


@dataclass(frozen=True, eq=False)
class Hessian:
    """Second moments of a layer's inputs about their mean.

    Parameters
    ----------
    matrix : ndarray, shape (C, C), float64
        ``trust`` times the covariance, and ``damping`` on the diagonal: positive definite whatever the inputs.
    mean : ndarray, shape (C,), float64
    trust, damping : float
    """

    matrix: NDArray[np.float64]
    mean: NDArray[np.float64]
    trust: float
    damping: float

    @property
    def varying(self) -> NDArray[np.bool_]:
        """Inputs that are not the same in all of the calibration, shape (C,)."""
        return self.matrix.diagonal() > self.damping * (1 + 1e-9)


def hessian(x: NDArray[np.float32], damping: float = DAMPING) -> Hessian:
    """Return the Hessian of inputs, shape (B, C).

    Inputs that never vary leave the covariance 0, and then nothing is to choose between weights but their size: it
    becomes the unit matrix times the damping.
    """
    columns = x.shape[1]
    mean = x.mean(axis=0, dtype=np.float64)
    matrix = np.zeros((columns, columns))
    step = max(1, _BLOCK // columns)
    for start in range(0, len(x), step):
        centred = x[start : start + step] - mean
        matrix += centred.T @ centred
    matrix /= len(x)
    # What rounding leaves of a constant input is not variance.
    noise = np.finfo(np.float32).eps ** 2 * mean**2
    constant = matrix.diagonal() <= noise
    matrix[constant] = 0
    matrix[:, constant] = 0
    level = float(matrix.diagonal().mean())
    shrinkage = _shrinkage(x, mean, matrix, level)
    added = (damping + shrinkage) * level or 1.0
    matrix *= 1 - shrinkage
    matrix.reshape(-1)[:: columns + 1] += added
    return Hessian(matrix, mean, 1 - shrinkage, added)


def _shrinkage(
    x: NDArray[np.float32], mean: NDArray[np.float64], covariance: NDArray[np.float64], level: float
) -> float:
    """Return how much of the covariance is better replaced by its mean on the diagonal, 0 to 1 (Ledoit and Wolf)."""
    if level == 0:
        return 1.0
    step = max(1, _BLOCK // x.shape[1])
    fourth = sum(
        float(np.sum(np.sum((x[start : start + step] - mean) ** 2 / level, axis=1) ** 2))
        for start in range(0, len(x), step)
    )
    square = float(np.vdot(covariance, covariance)) / level**2
    noise = (fourth / len(x) - square) / len(x)
    return min(1.0, max(0.0, noise / (square - x.shape[1]))) if square > x.shape[1] else 1.0


def inverse_factor(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper triangular U with ``U.T @ U`` the inverse of a positive definite matrix.

    Row j of U divided by its diagonal says how the weights after j make up for a change of weight j, the ones before
    being fixed; its diagonal squared is the inverse of what that change then costs.
    """
    # A Cholesky factor taken from the last column to the first is upper triangular, and so is its inverse.
    upper = np.linalg.cholesky(matrix[::-1, ::-1])[::-1, ::-1]
    return _invert_upper(np.ascontiguousarray(upper))


def _invert_upper(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert by halves: nearly all is then matrix products, and numpy has no inverse of triangles."""
    size = len(upper)
    if size <= _SMALL:
        return np.triu(np.linalg.inv(upper))
    half = size // 2
    result = np.zeros_like(upper)
    first = result[:half, :half] = _invert_upper(upper[:half, :half])
    second = result[half:, half:] = _invert_upper(upper[half:, half:])
    result[:half, half:] = -(first @ upper[:half, half:]) @ second
    return result
