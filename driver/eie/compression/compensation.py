"""Pruning and sharing of a layer's weights such that the weights that stay make up for the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import codes_of_terms, share_among, values_of
from eie.compression.least_squares import LeastSquares
from eie.compression.obs import Row, prune_rows, share_rows
from eie.compression.row_units import scales_of_rows, within_spread
from eie.compression.sweep import Sweep
from eie.contract.config import CODE_BITS, CODEBOOK_SIZE

EFFORTS = ("auto", "fast", "thorough")

EXACT_WORK = 2e11
"""Most rows * columns**3 of a layer that "auto" compensates exactly: half a minute of one core or so."""
EXACT_NUMBERS = 3e8
"""Most rows * columns**2 likewise: 2 GB of inverses."""


_WORTH = 10**-0.15
"""Share of a layer's loss that row scales may at most leave, if they are a matter of choice: 1.5 dB less."""


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
    units : ndarray, shape (R,), float64, optional
        What the shared values of each row are multiplied by, at most 1: its row scale.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    mask: NDArray[np.bool_]
    codes: NDArray[np.uint8]
    codebooks: NDArray[np.float64]
    shared_bias: NDArray[np.float32]
    units: NDArray[np.float64] | None = None

    @property
    def centroids(self) -> NDArray[np.float64]:
        """The value of every code, in a row's unit."""
        return values_of(self.codebooks)

    @property
    def shared(self) -> NDArray[np.float64]:
        """The weights after sharing, shape (R, C)."""
        values = self.centroids[self.codes]
        return values if self.units is None else values * self.units[:, None]


def compensate(
    task: LeastSquares,
    weight: NDArray[np.float32],
    keep: int | None,
    sharing: str,
    effort: str,
    tell: Callable[[str], None],
    terms: int = 1,
    row_scales: bool | None = False,
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
    row_scales : bool, optional
        Whether each row multiplies the shared values by a scale of its own; None: where it is worth that.
    """
    task = _without_constant_inputs(task, keep)
    allowed = int(np.count_nonzero(task.allowed))
    pruned = _prune(task, allowed if keep is None else min(keep, allowed), effort)
    tell("share")
    if not pruned.mask.any():
        return pruned.compensated(task, np.zeros(pruned.mask.shape, np.uint8), np.zeros((terms, CODEBOOK_SIZE)))
    plain = pruned.compensated(task, *_no_worse_than_plain(task, weight, pruned, sharing, terms))
    if row_scales is False or (row_scales is None and not _worth(task, pruned.weight, plain)):
        return plain  # no scales undo what pruning costs
    scaled = _in_row_scales(task, pruned, sharing, terms)
    return scaled if row_scales or _worth(task, scaled.shared, plain) else plain


@dataclass(frozen=True, eq=False)
class _Pruned:
    """A layer after pruning: weights, shape (R, C), and how its weights are given shared values."""

    weight: NDArray[np.float64]
    mask: NDArray[np.bool_]
    sweep: Sweep | None = None
    rows: tuple[Row, ...] = ()

    def share(
        self, task: LeastSquares, sharing: str, terms: int, units: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return codes and codebooks, in these units of the rows, in which the task is too."""
        weight = self.weight if units is None else self.weight / units[:, None]
        mass = task.importance[:, None] * task.hessian.diagonal
        codebooks, _ = share_among(weight[self.mask].astype(np.float32), sharing, terms, mass[self.mask])
        if self.sweep is not None:
            return self.sweep.of_rows(task).share(self.mask, codebooks)
        rows = [replace(row, values=weight[r, row.columns]) for r, row in enumerate(self.rows)]
        return share_rows(task, rows, codebooks)

    def compensated(
        self,
        task: LeastSquares,
        codes: NDArray[np.uint8],
        codebooks: NDArray[np.float64],
        units: NDArray[np.float64] | None = None,
    ) -> Compensated:
        codes, codebooks = ascending(codes, codebooks)
        bias = task.bias_of(self.weight).astype(np.float32)
        made = Compensated(self.weight.astype(np.float32), bias, self.mask, codes, codebooks, bias, units)
        return replace(made, shared_bias=task.bias_of(made.shared).astype(np.float32))


def _prune(task: LeastSquares, keep: int, effort: str) -> _Pruned:
    if not is_exact(task, effort):
        sweep = Sweep(task)
        return _Pruned(*sweep.prune(keep), sweep)
    *_, (rows, _) = prune_rows(task, keep)
    weight, mask = np.zeros(task.weight.shape), np.zeros(task.weight.shape, bool)
    for r, row in enumerate(rows):
        weight[r, row.columns] = row.values
        mask[r, row.columns] = True
    return _Pruned(weight, mask, rows=tuple(rows))


def _worth(task: LeastSquares, weight: NDArray[np.float64], plain: Compensated) -> bool:
    """Tell whether weights are so much better than those with one scale that row scales are worth their cycles."""
    return task.damped_loss(weight) < _WORTH * task.damped_loss(plain.shared)


def _in_row_scales(task: LeastSquares, pruned: _Pruned, sharing: str, terms: int) -> Compensated:
    """Share values among weights in units of each row, and then choose the units anew for their codes."""
    bias = task.bias_of(pruned.weight)
    units = scales_of_rows(pruned.weight, bias)
    part = task.in_units(units)
    codes, codebooks = pruned.share(part, sharing, terms, units)
    best = units * part.row_factors(values_of(codebooks)[codes])
    largest = best.max()
    units = within_spread(best, bias)
    codes[units * largest > 2 * best] = 0  # a quadratic loss: more than twice the best factor is worse than none
    return pruned.compensated(task, codes, codebooks * largest, units)


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
    task: LeastSquares, weight: NDArray[np.float32], pruned: _Pruned, sharing: str, terms: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return codes and codebooks, or those of the given weights shared as they are where these, rarely, do better.

    Compensation is greedy, and damped; on a handful of inputs it may lose.
    """
    codes, codebooks = pruned.share(task, sharing, terms)
    values, of_values = share_among(weight[pruned.mask], sharing, terms)
    plain = np.zeros_like(codes)
    plain[pruned.mask] = of_values
    if task.loss(values_of(values)[plain]) < task.loss(values_of(codebooks)[codes]):
        return plain, values
    return codes, codebooks


def ascending(
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
