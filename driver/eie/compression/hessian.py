"""The Hessian of a layer's error, from the inputs that the layer is calibrated on.

Changing a row of weights by d changes the row's output by ``d @ x``; with the bias free to take the mean, the mean
square of that over the inputs is ``d @ H @ d``, H being the covariance of the inputs (optimal brain surgeon: Hassibi
and Stork, 1993; for layers: Frantar and Alistarh, "Optimal Brain Compression", 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

    @property
    def diagonal(self) -> NDArray[np.float64]:
        """That of the matrix, shape (C,), which goes with every row."""
        return self.matrix.diagonal()

    def times(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return rows of weights times the matrix, shape (R, C)."""
        return weight @ self.matrix  # type: ignore[no-any-return]

    def across(self, weights: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return several weights of each of these rows times the matrix, shape (n, rows, C)."""
        return (weights.reshape(-1, len(self.matrix)) @ self.matrix).reshape(weights.shape)

    def at_mean(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what rows of weights make of the mean input, shape (R,)."""
        return weight @ self.mean  # type: ignore[no-any-return]

    def column(self, column: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return how a change of a column's weight shows in the gradients of these rows, shape (1 or rows, C)."""
        return self.matrix[None, column]

    def parts(self, rows: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Yield the rows that see the same inputs, here all, and their matrix."""
        yield np.arange(rows), self.matrix

    def of_rows(self, rows: NDArray[np.intp]) -> Hessian:
        """Return that of some of the rows."""
        return self

    def outputs(self, weight: NDArray[np.floating], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what rows of weights make of inputs less their mean, shape (R, B)."""
        return weight.astype(np.float32) @ (inputs - self.mean.astype(np.float32)).T


@dataclass(frozen=True, eq=False)
class GroupedHessian:
    """A Hessian for each group of rows, which alone see its inputs; see `Hessian` for its methods.

    Parameters
    ----------
    matrices : ndarray, shape (groups, c, c), float64
    means : ndarray, shape (groups, c), float64
    varies : ndarray, shape (groups, c), bool
    group : ndarray, shape (R,), intp
        Of each row.
    """

    matrices: NDArray[np.float64]
    means: NDArray[np.float64]
    varies: NDArray[np.bool_]
    group: NDArray[np.intp]

    @classmethod
    def of(cls, parts: Sequence[Hessian], rows: int) -> GroupedHessian:
        """Join the Hessians of groups of so many rows each."""
        group = np.repeat(np.arange(len(parts)), rows)
        matrices, means = np.stack([part.matrix for part in parts]), np.stack([part.mean for part in parts])
        return cls(matrices, means, np.stack([part.varying for part in parts]), group)

    @property
    def diagonal(self) -> NDArray[np.float64]:
        return np.einsum("gcc->gc", self.matrices)[self.group]

    @property
    def varying(self) -> NDArray[np.bool_]:
        return self.varies[self.group]

    def times(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        return self.across(weight[None], np.arange(len(weight)))[0]

    def across(self, weights: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.matmul(weights.swapaxes(0, 1), self.matrices[self.group[rows]]).swapaxes(0, 1)

    def at_mean(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.einsum("rc,rc->r", weight, self.means[self.group])

    def column(self, column: int, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return self.matrices[self.group[rows], column]

    def parts(self, rows: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        for group in np.unique(self.group):
            yield np.flatnonzero(self.group == group), self.matrices[group]

    def of_rows(self, rows: NDArray[np.intp]) -> GroupedHessian:
        return GroupedHessian(self.matrices, self.means, self.varies, self.group[rows])

    def outputs(self, weight: NDArray[np.floating], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.empty((len(weight), len(inputs)), np.float32)
        seen = inputs.reshape(len(inputs), *self.means.shape)
        for group in np.unique(self.group):
            rows = self.group == group
            found[rows] = weight[rows].astype(np.float32) @ (seen[:, group] - self.means[group].astype(np.float32)).T
        return found


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
