"""The values that codes stand for: those of a codebook, or the sums of two (`eie.network.term.Term`).

Of two codebooks, a code has eight bits: the first term's code in the upper four, the second's in the lower. Either may
be 0, and then adds nothing, so 255 sums are to be had; all of an 8-bit integer grid are among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eie.compression.sharing import EXACT_LIMIT, SHARED_VALUES, share
from eie.contract.config import CODE_BITS, CODEBOOK_SIZE

TERMS = (1, 2)

_ROUNDS = 60
_ENOUGH = 1e-6
_GRID_STEPS = CODEBOOK_SIZE**2 - 1


def values_of(codebooks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the value of every code, shape (16,) or (256,), of codebooks of shape (terms, 16)."""
    return codebooks[0] if len(codebooks) == 1 else np.add.outer(codebooks[0], codebooks[1]).ravel()


def codes_of_terms(codes: NDArray[np.uint8], terms: int) -> tuple[NDArray[np.uint8], ...]:
    """Return each term's codes, 0 to 15."""
    if terms == 1:
        return (codes,)
    return (codes >> np.uint8(CODE_BITS)).astype(np.uint8), (codes & np.uint8(CODEBOOK_SIZE - 1)).astype(np.uint8)


def selection(terms: int) -> NDArray[np.float64]:
    """Return the matrix that makes the values of all codes of all codebook entries: shape (codes, terms * 16)."""
    codes = np.arange(CODEBOOK_SIZE**terms, dtype=np.uint8)
    parts = codes_of_terms(codes, terms)
    found = np.concatenate([np.eye(CODEBOOK_SIZE)[part] for part in parts], axis=1)
    found[:, ::CODEBOOK_SIZE] = 0  # entry 0 stays 0
    return found


def share_among(
    values: NDArray[np.float32], method: str, terms: int = 1, mass: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Choose the codebooks of a layer, shape (terms, 16), and give every weight its code; see `sharing.share`.

    Two codebooks are found in turns, as additive quantisers are (Babenko and Lempitsky, 2014): weights take the nearest
    sums, then the entries are the least-squares ones for these. They begin as the shared values and those of what these
    leave over, and as an even grid; the better one is taken.
    """
    if terms == 1 or _distinct(values, SHARED_VALUES) is not None:
        codebook, codes = share(values, method, mass)
        if terms == 1:
            return codebook[None], codes
        return np.stack([codebook, np.zeros_like(codebook)]), codes << np.uint8(CODE_BITS)
    points, weights = _groups(values.astype(np.float64), mass)
    first, _ = share(points.astype(np.float32), method, weights)
    rest = points - first[Nearest(first).of_sorted(points)]
    second, _ = share(rest.astype(np.float32), method, weights)
    fitted = [_alternate(points, weights, start) for start in (grid_of(values), np.stack([first, second]))]
    codebooks, _ = min(fitted, key=lambda found: found[1])
    return codebooks, Nearest(values_of(codebooks))(values)


def holds(values: NDArray[np.float32], terms: int) -> bool:
    """Tell whether so many codebooks hold all values: at most 15, or of two the integers of an 8-bit range."""
    distinct = _distinct(values, SHARED_VALUES if terms == 1 else _GRID_STEPS)
    if distinct is None or len(distinct) <= SHARED_VALUES:
        return distinct is not None
    table = values_of(grid_of(distinct))
    error = np.abs(table[Nearest(table)(distinct)] - distinct).max()
    return bool(error <= np.finfo(np.float32).eps * np.abs(distinct).max())


def grid_of(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return two codebooks whose sums are evenly spaced from the least value, or 0, to the largest.

    The step is that of the values where they are integers of an 8-bit range times a number.
    """
    distinct = np.unique(np.append(values, np.float32(0))).astype(np.float64)
    low, high = distinct[0], distinct[-1]
    step = (high - low) / _GRID_STEPS
    finest = float(np.diff(distinct).min())
    if (high - low) / finest < _GRID_STEPS + 0.5:
        # The step of the whole range, which rounding has changed least.
        step = (high - low) / max(1, round((high - low) / finest))
    lowest = round(low / step)
    coarse, rest = lowest // CODEBOOK_SIZE, lowest % CODEBOOK_SIZE
    fine = np.arange(CODEBOOK_SIZE) + (rest - CODEBOOK_SIZE if rest else 0)
    coarse += 1 if rest else 0
    multiples = np.arange(coarse, coarse + CODEBOOK_SIZE) * CODEBOOK_SIZE
    return step * np.stack([_zero_first(multiples), _zero_first(fine)])


class Nearest:
    """Finds the codes, from 1 on, whose values are nearest.

    Parameters
    ----------
    table : ndarray, shape (16,) or (256,), float64
        See `values_of`.
    """

    def __init__(self, table: NDArray[np.float64]) -> None:
        order = np.argsort(table[1:], kind="stable") + 1
        self.table, self.ascending = table, order.astype(np.uint8)
        self.middle = (table[order[1:]] + table[order[:-1]]) / 2
        """Between neighbours of the codes in ascending order."""

    def __call__(self, values: NDArray[np.floating]) -> NDArray[np.uint8]:
        return self.ascending[np.searchsorted(self.middle.astype(values.dtype, copy=False), values)]

    def of_sorted(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the same for values in ascending order, each code in one stretch."""
        ends = np.searchsorted(values, self.middle, side="right")
        return np.repeat(self.ascending, np.diff(ends, prepend=0, append=len(values)))


def _distinct(values: NDArray[np.float32], most: int) -> NDArray[np.float32] | None:
    """Return the distinct values in ascending order, or None if there are more than so many."""
    if len(np.unique(values[: 8 * most])) > most:  # nearly always
        return None
    found = np.unique(values)
    return found if len(found) <= most else None


def _zero_first(values: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.append(0.0, values[values != 0])


def _groups(
    values: NDArray[np.float64], mass: NDArray[np.floating] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights in ascending order and what they count, many of them averaged in groups of neighbours."""
    masses = np.ones(len(values)) if mass is None else np.maximum(mass.astype(np.float64), np.finfo(np.float64).tiny)
    order = np.argsort(values, kind="stable")
    values, masses = values[order], masses[order]
    if len(values) <= EXACT_LIMIT:
        return values, masses
    edges = np.arange(EXACT_LIMIT) * len(values) // EXACT_LIMIT
    sums = np.add.reduceat(masses, edges)
    return np.add.reduceat(masses * values, edges) / sums, sums


def _alternate(
    points: NDArray[np.float64], masses: NDArray[np.float64], codebooks: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Take the nearest sums of ascending points and refit the entries, in turn; return codebooks and squared error."""
    chosen = selection(len(codebooks))
    best, least = codebooks, np.inf
    for _ in range(_ROUNDS):
        table = values_of(codebooks)
        codes = Nearest(table).of_sorted(points)
        error = points - table[codes]
        loss = float(masses @ error**2)
        if loss < least:
            best = codebooks
        if not loss < least * (1 - _ENOUGH):
            break
        least = loss
        counts = np.bincount(codes, masses, len(table))
        residual = np.bincount(codes, masses * error, len(table))
        moved = np.linalg.lstsq(chosen.T @ (counts[:, None] * chosen), chosen.T @ residual, rcond=1e-10)[0]
        moved = moved.reshape(codebooks.shape)
        moved[:, 0] = 0  # of what is not chosen, least squares may give the smallest of traces
        codebooks = codebooks + moved
    return best, least
