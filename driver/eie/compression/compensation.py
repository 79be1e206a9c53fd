"""Pruning and sharing of a layer's weights such that the weights that stay make up for the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import codes_of_terms, share_among, values_of
from eie.compression.least_squares import LeastSquares
from eie.compression.obs import prune_rows, share_rows
from eie.compression.sweep import Sweep
from eie.contract.config import CODE_BITS, CODEBOOK_SIZE

EFFORTS = ("auto", "fast", "thorough")

EXACT_WORK = 2e11
"""Most rows * columns**3 of a layer that "auto" compensates exactly: half a minute of one core or so."""
EXACT_NUMBERS = 3e8
"""Most rows * columns**2 likewise: 2 GB of inverses."""


@dataclass(frozen=True, eq=False)
class Compensated:
    """A layer after pruning, and after sharing.

    Parameters
    ----------
    weight : ndarray, shape (R, C), float32
        After pruning, 0 outside the mask.
    bias : ndarray, shape (R,), float32
        That goes with it.
    mask : ndarray, shape (R, C), bool
    codes : ndarray, shape (R, C), uint8
        See `eie.compression.codebooks`.
    codebooks : ndarray, shape (terms, 16), float64
    shared_bias : ndarray, shape (R,), float32
        That goes with codes and codebooks.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    mask: NDArray[np.bool_]
    codes: NDArray[np.uint8]
    codebooks: NDArray[np.float64]
    shared_bias: NDArray[np.float32]

    @property
    def centroids(self) -> NDArray[np.float64]:
        """The value of every code."""
        return values_of(self.codebooks)


def compensate(
    task: LeastSquares,
    weight: NDArray[np.float32],
    keep: int | None,
    sharing: str,
    effort: str,
    tell: Callable[[str], None],
    terms: int = 1,
) -> Compensated:
    """Prune a layer to so many weights (None: where it has them) and share values among them.

    Parameters
    ----------
    task : LeastSquares
    weight : ndarray, shape (R, C), float32
        The given network's.
    keep : int, optional
    sharing : {"kmeans", "linear"}
    effort : {"auto", "fast", "thorough"}
    tell : callable (stage)
    terms : int
        Codebooks whose sums the weights are.
    """
    task = _without_constant_inputs(task, keep)
    allowed = int(np.count_nonzero(task.allowed))
    keep = allowed if keep is None else min(keep, allowed)
    exact = is_exact(task, effort)
    if exact:
        *_, (rows, _) = prune_rows(task, keep)
        pruned = np.zeros(task.weight.shape)
        mask = np.zeros(task.weight.shape, bool)
        for r, row in enumerate(rows):
            pruned[r, row.columns] = row.values
            mask[r, row.columns] = True
    else:
        sweep = Sweep(task)
        pruned, mask = sweep.prune(keep)
    tell("share")
    if not mask.any():
        codes, codebooks = np.zeros(mask.shape, np.uint8), np.zeros((terms, CODEBOOK_SIZE))
    else:
        mass = task.importance[:, None] * task.hessian.matrix.diagonal()
        codebooks, _ = share_among(pruned[mask].astype(np.float32), sharing, terms, mass[mask])
        codes, codebooks = share_rows(task, rows, codebooks) if exact else sweep.share(mask, codebooks)
        codes, codebooks = _no_worse_than_plain(task, weight, mask, codes, codebooks, sharing)
    codes, codebooks = _ascending(codes, codebooks)
    return Compensated(
        pruned.astype(np.float32),
        task.bias_of(pruned).astype(np.float32),
        mask,
        codes,
        codebooks,
        task.bias_of(values_of(codebooks)[codes]).astype(np.float32),
    )


def is_exact(task: LeastSquares, effort: str) -> bool:
    """Tell whether a layer is compensated row by row, or by one inverse for all rows."""
    rows, columns = len(task.weight), int(np.count_nonzero(task.allowed.any(axis=0)))
    small = rows * columns**3 <= EXACT_WORK and rows * columns**2 <= EXACT_NUMBERS
    return effort == "thorough" or (effort == "auto" and small)


def _without_constant_inputs(task: LeastSquares, keep: int | None) -> LeastSquares:
    """Take the weights of inputs that never vary away first, if enough others are left: the bias does as well."""
    if keep is None:
        return task
    useful = task.allowed & task.hessian.varying
    return replace(task, allowed=useful) if np.count_nonzero(useful) >= keep else task


def _no_worse_than_plain(
    task: LeastSquares,
    weight: NDArray[np.float32],
    mask: NDArray[np.bool_],
    codes: NDArray[np.uint8],
    codebooks: NDArray[np.float64],
    sharing: str,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return codes and codebooks, or those of the given weights shared as they are where these, rarely, do better.

    Compensation is greedy, and damped; on a handful of inputs it may lose.
    """
    kept = np.where(mask, weight, np.float32(0))
    values, of_values = share_among(kept[mask], sharing, len(codebooks))
    plain = np.zeros_like(codes)
    plain[mask] = of_values
    if task.loss(values_of(values)[plain]) < task.loss(values_of(codebooks)[codes]):
        return plain, values
    return codes, codebooks


def _ascending(
    codes: NDArray[np.uint8], codebooks: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Number the entries that are used in ascending order, as `eie.compression.sharing.share` does."""
    values = np.zeros_like(codebooks)
    renamed = np.zeros_like(codes)
    for term, part in enumerate(codes_of_terms(codes, len(codebooks))):
        used = np.unique(part[part > 0])
        order = used[np.argsort(codebooks[term, used], kind="stable")]
        names = np.zeros(CODEBOOK_SIZE, np.uint8)
        names[order] = np.arange(1, len(order) + 1)
        values[term, 1 : len(order) + 1] = codebooks[term, order]
        renamed = renamed << np.uint8(CODE_BITS) | names[part]
    return renamed, values
