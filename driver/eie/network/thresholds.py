"""Quantised stages on the machine: thresholds, or an affine map and a rounding, become a row's integer bias and scale.

A stage of a quantised network maps a row's integer sum to one of a few levels: the level rises by one at each of the
row's thresholds. The machine maps it by ``clip(((factor * sum + bias) * scale + half) >> shift)``. Neither falls as the
sum rises, so they are equal on all sums if each level begins at the same sum: that is the proof given here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.config import BIAS_BITS, SCALE_BITS, SCALED_BITS, SHIFT_LIMIT, WEIGHT_BITS
from eie.errors import LayerError
from eie.network.scaling import Scaling

_TRIES = 32
"""Factors of the sums to try: with each, the roundings of the scales fall otherwise."""
_SCALES = 48
"""Scales of a row to try, among those with which its thresholds may be as far apart as they are."""


@dataclass(frozen=True, eq=False)
class IntegerStage:
    """What a layer needs to give the levels of a quantised stage.

    Parameters
    ----------
    factor : int
        What the layer's integer weights are to be multiplied with, which gives thresholds a finer grid to lie on.
    bias : ndarray, shape (R,), int64
    shift : int
    scaling : Scaling
    exceptions : tuple of (row, first, last)
        Ranges of reachable sums whose level is another one; empty if the stage is proved equal.
    """

    factor: int
    bias: NDArray[np.int64]
    shift: int
    scaling: Scaling
    exceptions: tuple[tuple[int, int, int], ...]


def integer_stage(
    thresholds: ArrayLike,
    sums: ArrayLike,
    largest_weight: int,
    low: int = 0,
    falling: ArrayLike | None = None,
    tries: int = _TRIES,
) -> IntegerStage:
    """Return the integer stage whose level is ``low`` and one more for each threshold that a sum reaches.

    Parameters
    ----------
    thresholds : array_like, shape (R, L), float
        Ascending in each row; a sum equal to one reaches it. Infinite ones are never or always reached.
    sums : array_like, shape (R, 2), integer
        Smallest and largest sum that can be reached, see `reachable_sums`.
    largest_weight : int
        Largest magnitude of the layer's integer weights.
    low : int
        The lowest level, at most 0; the highest, ``low + L``, is at least 0.
    falling : array_like, shape (R,), bool, optional
        Rows whose levels rise as the sum falls: their thresholds are those of the negated sum.
    tries : int
        Factors that are tried.

    Raises
    ------
    LayerError
        If shapes disagree, thresholds do not ascend, or the weights leave no room.
    """
    reach = np.asarray(sums, np.int64)
    steps = np.asarray(thresholds, np.float64)
    if steps.ndim != 2 or reach.shape != (len(steps), 2) or np.isnan(steps).any() or (np.diff(steps) < 0).any():
        raise LayerError(
            f"thresholds of shape {steps.shape} for sums of shape {reach.shape}: a row needs ascending thresholds and "
            "the smallest and largest of its sums"
        )
    if not 1 <= largest_weight < 1 << WEIGHT_BITS - 1:
        raise LayerError(f"the largest weight is {largest_weight}; it must lie in 1..{(1 << WEIGHT_BITS - 1) - 1}")
    down = np.zeros(len(steps), bool) if falling is None else np.asarray(falling, bool)
    reach = np.where(down[:, None], -reach[:, ::-1], reach)
    # Least integers that reach the thresholds; beyond the reachable sums one value is as good as another.
    least = np.ceil(np.clip(steps, reach[:, :1], reach[:, 1:] + 1)).astype(np.int64)
    best: IntegerStage | None = None
    distances = _distances(least, reach)
    for factor, shift in _grids(least, distances, largest_weight, tries):
        bias, scale = _fit(least, reach, distances, factor, shift, low)
        signs = np.where(down, -1, 1)
        scaling = Scaling(scale * signs, 0, low, low + steps.shape[1])
        stage = IntegerStage(factor, bias * signs, shift, scaling, ())
        found = _exceptions(stage, least, reach, low, down)
        if best is None or len(found) < len(best.exceptions):
            best = IntegerStage(factor, stage.bias, shift, scaling, found)
        if not found:
            break
    assert best is not None
    return best


def affine_thresholds(gain: ArrayLike, offset: ArrayLike, low: int, high: int) -> NDArray[np.float64]:
    """Return the thresholds, shape (R, high - low), of ``clip(rint(gain * sum + offset), low, high)``.

    Parameters
    ----------
    gain, offset : array_like, shape (R,), float
        A negative gain gives those of the negated sum, as `integer_stage` wants for rows that fall; it is not 0.
    low, high : int
    """
    a, b = np.abs(np.asarray(gain, np.float64))[:, None], np.asarray(offset, np.float64)[:, None]
    levels = np.arange(low + 1, high + 1)
    # Half way between two levels rounds to the even one: an odd level is reached only above it.
    least = np.ceil((levels - 0.5 - b) / a)
    for candidate in (least - 1, least, least + 1):
        reached = np.rint(a * candidate + b) >= levels
        least = np.where(reached & (candidate < least), candidate, least)
    return np.where(np.rint(a * least + b) >= levels, least, least + 1)


def reachable_sums(weights: ArrayLike, low: int, high: int) -> NDArray[np.int64]:
    """Return the smallest and largest sum of each row, shape (R, 2), for inputs from ``low`` to ``high``."""
    w = np.asarray(weights, np.int64)
    positive, negative = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    return np.stack([positive * low + negative * high, positive * high + negative * low], axis=1)


def _grids(
    least: NDArray[np.int64], distances: NDArray[np.float64], largest_weight: int, tries: int
) -> list[tuple[int, int]]:
    """Return factors and shifts to try: the largest factors that the weights, the biases and the multiplier leave."""
    # From half a level below the first threshold to half a level above the last.
    spread = int((least[:, -1] - least[:, 0]).max() + distances.max()) + 1
    widest = max(1, spread, int(np.abs(least).max()))
    room = min(
        ((1 << WEIGHT_BITS - 1) - 1) // largest_weight,
        (1 << SCALED_BITS - 2) // max(1, spread),
        (1 << BIAS_BITS - 2) // widest,
    )
    if room < 1:
        raise LayerError(f"thresholds {spread} apart leave no room in {SCALED_BITS} bits")
    factors = [room - room * i // (4 * _TRIES) for i in range(tries)]
    return [(f, shift) for f in dict.fromkeys(factors) if (shift := _shift(distances, f)) is not None]


def _distances(least: NDArray[np.int64], reach: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the least and largest distance that a row's thresholds can have on a line, shape (2, R); 0 if any will do.

    Thresholds a line apart are rounded up, so two of them, n levels apart, are as many distances apart, give or take 1.
    """
    passed = (least > reach[:, :1]) & (least <= reach[:, 1:])
    shortest, longest = np.zeros(len(least)), np.full(len(least), np.inf)
    for levels in range(1, least.shape[1]):
        both, span = passed[:, :-levels] & passed[:, levels:], least[:, levels:] - least[:, :-levels]
        shortest = np.maximum(shortest, np.where(both, span - 1, 0).max(axis=1) / levels)
        longest = np.minimum(longest, np.where(both, (span + 1) / levels, np.inf).min(axis=1))
    any_will_do = np.isinf(longest)
    return np.where(any_will_do, 0.0, np.stack([shortest, longest]))


def _shift(distances: NDArray[np.float64], factor: int) -> int | None:
    """Return the largest shift with which every row's scale fits."""
    known = distances[:, distances[1] > 0].mean(axis=0)
    closest = float(known.min()) if len(known) else 1.0
    shift = int(np.floor(np.log2(((1 << SCALE_BITS - 1) - 1) * closest * factor)))
    return shift if 1 <= shift <= SHIFT_LIMIT else None


def _fit(
    least: NDArray[np.int64],
    reach: NDArray[np.int64],
    distances: NDArray[np.float64],
    factor: int,
    shift: int,
    low: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the bias and scale of each row for which its thresholds lie best on the grid.

    Level k is reached by the sums that give, with factor and bias, ``q = ceil((k - 1/2) * 2**shift / scale)`` or more.
    So the bias must lie in ``q - factor * least`` to ``q - factor * (least - 1) - 1`` for each threshold.
    """
    rows, levels = least.shape
    half = 1 << shift - 1
    edges = (np.arange(levels, dtype=np.int64) + low + 1 << shift) - half
    shortest, longest = np.where(distances > 0, distances, distances.mean(axis=1, keepdims=True))
    limit = (1 << SCALE_BITS - 1) - 1
    best_width = np.full(rows, np.iinfo(np.int64).min)
    bias, scale = np.zeros(rows, np.int64), np.ones(rows, np.int64)
    for share in np.linspace(0, 1, _SCALES):
        distance = np.maximum(shortest + share * (longest - shortest), 1 / 64)
        c = np.clip(np.rint((1 << shift) / (distance * factor)).astype(np.int64), 1, limit)
        q = -(-edges // c[:, None])
        # A threshold that is always reached bounds the bias from below alone, one that never is from above alone.
        lows = np.where(least <= reach[:, 1:], q - factor * np.maximum(least, reach[:, :1]), -(1 << 62))
        highs = np.where(least > reach[:, :1], q - 1 - factor * np.minimum(least - 1, reach[:, 1:]), 1 << 62)
        lowest, highest = lows.max(axis=1, initial=-(1 << 31)), highs.min(axis=1, initial=(1 << 31) - 1)
        better = highest - lowest > best_width
        best_width = np.where(better, highest - lowest, best_width)
        bias = np.where(better, (lowest + highest) >> 1, bias)
        scale = np.where(better, c, scale)
    return bias, scale


def _exceptions(
    stage: IntegerStage, least: NDArray[np.int64], reach: NDArray[np.int64], low: int, down: NDArray[np.bool_]
) -> tuple[tuple[int, int, int], ...]:
    """Return the ranges of sums in which the stage's level is another one: its own levels' first sums are searched."""
    sign = np.where(down, -1, 1)

    def level(sums: NDArray[np.int64]) -> NDArray[np.int64]:
        totals = stage.factor * sums * sign + stage.bias
        return stage.scaling.finish(totals, stage.shift, False).astype(np.int64)

    levels = least.shape[1]
    wanted = low + 1 + np.arange(levels)[:, None]
    own_low, own_high = np.tile(reach[:, 0], (levels, 1)), np.tile(reach[:, 1] + 1, (levels, 1))
    while (own_low < own_high).any():
        middle = (own_low + own_high) >> 1
        reached = level(middle) >= wanted
        own_high = np.where(reached, middle, own_high)
        own_low = np.where(reached | (own_low >= own_high), own_low, middle + 1)
        own_low = np.minimum(own_low, own_high)
    found = []
    for k, row in np.argwhere(own_high != least.T).tolist():
        first, last = sorted((int(own_high[k, row]), int(least[row, k])))
        found.append((row, *((1 - last, -first) if down[row] else (first, last - 1))))
    return tuple(found)
