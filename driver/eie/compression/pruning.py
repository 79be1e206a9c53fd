"""Magnitude pruning: which weights of a network are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eie.errors import NetworkError

_BLOCK = 1 << 22


def prune(
    weights: Sequence[NDArray[np.float32]],
    density: float | Sequence[float | None] | None,
    scope: str = "layer",
    names: Sequence[str] | None = None,
) -> list[NDArray[np.bool_]]:
    """Return for every weight matrix the mask of the weights to keep: those of largest magnitude.

    Parameters
    ----------
    weights : sequence of ndarray, shape (R, C), float32
    density : float, sequence of float or None, or None
        Weights to keep over all weights, above 0 and at most 1; one for all layers, or one each. None keeps
        exactly the non-zero weights.
    scope : {"layer", "global"}
        Apply the density to every layer, or to all layers together, by one threshold.
    names : sequence of str, optional
        Layer names for messages.

    Returns
    -------
    list of ndarray, shape (R, C), bool
        Exactly round(density * size) are set, but never a zero weight. Of weights with equal magnitude at the
        threshold, the earlier ones (by layer, row, column) are kept.

    Raises
    ------
    NetworkError
        If a density is out of range or leaves a layer without weights, or the scope is not one of the two.
    """
    names = names or [f"layer{i}" for i in range(len(weights))]
    if scope not in ("layer", "global"):
        raise NetworkError(f'scope {scope!r} is not known; "layer" and "global" are')
    if scope == "global" and density is not None:
        if not _is_number(density):
            raise NetworkError(f'density is {density!r}; scope="global" takes one number for all layers')
        masks = _keep_largest(weights, _checked(density, "the network"))
    else:
        densities = layer_densities(density, len(weights))
        masks = []
        for weight, share, name in zip(weights, densities, names, strict=True):
            label = f"layer {name!r}"
            masks += [weight != 0] if share is None else _keep_largest([weight], _checked(share, label))
    for weight, mask, name in zip(weights, masks, names, strict=True):
        if density is not None and not mask.any() and weight.any():
            rows, columns = weight.shape
            raise NetworkError(
                f'density {density} with scope="{scope}" keeps none of the weights of layer {name!r} '
                f"({rows}x{columns}); use a larger density" + (' or scope="layer"' if scope == "global" else "")
            )
    return masks


def layer_densities(density: float | Sequence[float | None] | None, layers: int) -> list[float | None]:
    """Return one density for each layer."""
    if density is None or _is_number(density):
        return [density] * layers  # type: ignore[list-item]
    if isinstance(density, str) or not isinstance(density, (Sequence, np.ndarray)):
        raise NetworkError(f"density is {density!r}; it must be a number, a sequence with one for each layer, or None")
    if len(density) != layers:
        raise NetworkError(f"density has {len(density)} values for {layers} layers; give one for each layer")
    return list(density)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _checked(density: object, label: str) -> float:
    if not _is_number(density) or not 0 < float(density) <= 1:  # type: ignore[arg-type]
        raise NetworkError(f"density of {label} is {density!r}; it must be above 0 and at most 1")
    return float(density)  # type: ignore[arg-type]


def _keep_largest(weights: Sequence[NDArray[np.float32]], density: float) -> list[NDArray[np.bool_]]:
    size = sum(weight.size for weight in weights)
    keep = min(round(density * size), sum(int(np.count_nonzero(weight)) for weight in weights))
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
