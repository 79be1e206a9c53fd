"""Magnitude pruning: the weights of a network that are largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 22


def keep_largest(weights: Sequence[NDArray[np.float32]], density: float) -> list[NDArray[np.bool_]]:
    """Return for every weight matrix the mask of the weights to keep, by one threshold for all.

    Parameters
    ----------
    weights : sequence of ndarray, shape (R, C), float32
    density : float
        Weights to keep over all weights, above 0 and at most 1.

    Returns
    -------
    list of ndarray, shape (R, C), bool
        Exactly round(density * size) are set in all, but never a zero weight. Of weights with equal magnitude at the
        threshold, the earlier ones (by layer, row, column) are kept.
    """
    return keep_count(weights, round(density * sum(weight.size for weight in weights)))


def keep_count(weights: Sequence[NDArray[np.float32]], count: int) -> list[NDArray[np.bool_]]:
    """Return the masks of the `count` largest weights; see `keep_largest`."""
    keep = min(count, sum(int(np.count_nonzero(weight)) for weight in weights))
    if keep == 0:
        return [np.zeros(weight.shape, bool) for weight in weights]
    threshold, ties = _threshold(weights, keep)
    masks = []
    for weight in weights:
        mask, ties = _mask(weight, threshold, ties)
        masks.append(mask)
    return masks


def _threshold(weights: Sequence[NDArray[np.float32]], keep: int) -> tuple[np.float32, int]:
    """Return the smallest magnitude to keep, and how many weights of just that magnitude to keep."""
    size = sum(weight.size for weight in weights)
    magnitudes = np.empty(size, np.float32)
    start = 0
    for weight in weights:
        np.abs(weight, out=magnitudes[start : start + weight.size].reshape(weight.shape))
        start += weight.size
    magnitudes.partition(size - keep)
    kept = magnitudes[size - keep :]
    return kept[0], keep - int(np.count_nonzero(kept > kept[0]))


def _mask(weight: NDArray[np.float32], threshold: np.float32, ties: int) -> tuple[NDArray[np.bool_], int]:
    """Return the mask of one layer and the ties left for the layers after it."""
    mask = np.empty(weight.shape, bool)
    step = max(1, _BLOCK // weight.shape[1])
    for start in range(0, len(weight), step):
        magnitudes = np.abs(weight[start : start + step])
        block = mask[start : start + step]
        np.greater_equal(magnitudes, threshold, out=block)
        tied = np.flatnonzero(magnitudes == threshold)
        block.reshape(-1)[tied[ties:]] = False
        ties = max(0, ties - len(tied))
    return mask, ties
