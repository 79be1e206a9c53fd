"""How many weights each layer keeps: alike, by one threshold of magnitude, or by the loss that it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import is_exact
from eie.compression.forward import forward_pruned
from eie.compression.least_squares import LeastSquares, least_squares
from eie.compression.obs import prune_rows
from eie.compression.pruning import keep_largest
from eie.compression.sweep import Sweep
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError
from eie.network.model import Dense

ALLOCATIONS = ("loss", "uniform", "magnitude")

Density = float | Sequence["float | None"] | Mapping[str, "float | None"] | None

_SAMPLED_ROWS = 64
_LOWEST = 1 / 8
"""Least density of a layer that a loss is measured at, in units of the network's."""
_POINTS = 512
_PARTS = 64


@dataclass(frozen=True, eq=False)
class LossCurve:
    """What a layer costs at the end of the network, by the weights that it keeps.

    Parameters
    ----------
    size : int
        Weights of the layer.
    counts : ndarray, shape (n,), float64
        Weights kept, ascending.
    losses : ndarray, shape (n,), float64
        Descending.
    """

    size: int
    counts: NDArray[np.float64]
    losses: NDArray[np.float64]

    def loss(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate: the error's amplitude between logarithms of counts, for it ends in 0."""
        return np.interp(np.log(counts), np.log(self.counts), np.sqrt(self.losses)) ** 2


def loss_curves(
    layers: Sequence[Dense],
    inputs: NDArray[np.float32],
    importances: Sequence[NDArray[np.float64]],
    density: float,
    effort: str,
    tell: Callable[[int, str], None],
) -> list[LossCurve]:
    """Measure what each layer costs at densities from 1 down to an eighth of the network's.

    Parameters
    ----------
    layers : sequence of Dense
    inputs : ndarray, shape (B, C), float32
    importances : sequence of ndarray
        See `eie.compression.sensitivity`.
    density : float
    effort : {"auto", "fast", "thorough"}
    tell : callable (layer index, stage)
    """
    curves = []
    for i, layer in enumerate(layers):
        tell(i, "allocate")
        task = least_squares(layer.weight, layer.bias, inputs, inputs, importances[i])
        curves.append(loss_curve(task, density, effort))
        inputs = forward_pruned(inputs, layer.weight, None, layer.bias, layer.activation == "relu")
    return curves


def loss_curve(task: LeastSquares, density: float, effort: str) -> LossCurve:
    """Measure a layer, on rows drawn at random."""
    rows, columns = task.weight.shape
    chosen = np.sort(frozen_random(0).permutation(rows)[:_SAMPLED_ROWS]).astype(np.intp)
    part = task.of_rows(chosen)
    scale = rows / len(chosen)
    least = max(1, int(density * _LOWEST * part.weight.size))
    points: list[tuple[float, float]] = []
    if is_exact(part, effort):
        for kept, loss in prune_rows(part, least):
            points.append((scale * sum(len(row.columns) for row in kept), scale * loss))
    else:
        sweep = Sweep(part)
        keep = float(np.count_nonzero(part.allowed))
        while True:
            weight, mask = sweep.prune(round(keep))
            points.append((scale * np.count_nonzero(mask), scale * part.loss(weight)))
            if keep <= least:
                break
            keep = max(least, keep * 0.6)
    counts, losses = np.array(points[::-1]).T
    counts, first = np.unique(counts, return_index=True)
    return LossCurve(rows * columns, np.maximum(counts, 1), np.maximum.accumulate(losses[first][::-1])[::-1])


def spread(curves: Sequence[LossCurve], total: int) -> list[int]:
    """Return how many weights each layer keeps so that the sum of losses is least with `total` weights in all.

    Where the total is not to be had, as near as it goes.
    """
    grids = [_grid(curve) for curve in curves]
    losses = [curve.loss(grid) for curve, grid in zip(curves, grids, strict=True)]

    def cheapest(price: float) -> list[int]:
        """With a price on every weight, each layer finds its own number."""
        return [int(grid[np.argmin(loss + price * grid)]) for grid, loss in zip(grids, losses, strict=True)]

    low, high = -230.0, 230.0
    for _ in range(100):
        price = (low + high) / 2
        low, high = (price, high) if sum(cheapest(np.exp(price))) > total else (low, price)
    counts = cheapest(np.exp(high))
    return _hand_out(curves, counts, total - sum(counts))


def _hand_out(curves: Sequence[LossCurve], counts: list[int], over: int) -> list[int]:
    """Give what the prices leave over, part by part, to the layer that gains most from it."""
    rounds = _PARTS
    while over > 0:
        shares = [min(-(-over // rounds), int(c.counts[-1]) - n) for c, n in zip(curves, counts, strict=True)]
        if max(shares) <= 0:
            break
        gains = [
            float(c.loss(np.array([n], float))[0] - c.loss(np.array([n + share], float))[0]) / share
            if share > 0
            else -1.0
            for c, n, share in zip(curves, counts, shares, strict=True)
        ]
        best = int(np.argmax(gains))
        counts[best] += shares[best]
        over -= shares[best]
        rounds = max(1, rounds - 1)
    return counts


def _grid(curve: LossCurve) -> NDArray[np.float64]:
    """Return the numbers of weights that a layer may keep, evenly spaced by ratio."""
    exponents = np.linspace(np.log(curve.counts[0]), np.log(curve.counts[-1]), _POINTS)
    return np.unique(np.round(np.exp(exponents)))


def given_counts(
    weights: Sequence[NDArray[np.float32]], density: Density, allocation: str, names: Sequence[str], least: int = 0
) -> list[int | None]:
    """Return how many weights each layer keeps where no loss is needed to tell; None keeps the layer's own zeros.

    Parameters
    ----------
    weights : sequence of ndarray, shape (R, C), float32
    density : float, sequence of float or None, mapping of layer names to float or None, or None
    allocation : {"uniform", "magnitude"}
    names : sequence of str
    least : int
        Weights that every layer keeps of those that it has.

    Raises
    ------
    NetworkError
        If a density is out of range or leaves a layer without weights.
    """
    if allocation == "magnitude" and density is not None:
        if not is_number(density):
            raise NetworkError(f'density is {density!r}; allocation="magnitude" takes one number for all layers')
        masks = keep_largest(weights, checked(density, "the network"))
        counts: list[int | None] = [int(np.count_nonzero(mask)) for mask in masks]
    else:
        counts = []
        for weight, share, name in zip(weights, layer_densities(density, names), names, strict=True):
            allowed = int(np.count_nonzero(weight))
            label = f"layer {name!r}"
            counts.append(None if share is None else min(allowed, round(checked(share, label) * weight.size)))
    for i, (weight, count, name) in enumerate(zip(weights, counts, names, strict=True)):
        if count is not None and count < least:
            counts[i] = count = min(least, int(np.count_nonzero(weight)))
        if count == 0 and weight.any():
            rows, columns = weight.shape
            raise NetworkError(
                f'density {density} with allocation="{allocation}" keeps none of the weights of layer {name!r} '
                f"({rows}x{columns}); use a larger density"
                + (' or allocation="uniform"' if allocation == "magnitude" else "")
            )
    return counts


def layer_densities(density: Density, names: Sequence[str]) -> list[float | None]:
    """Return one density for each layer."""
    if density is None or is_number(density):
        return [density] * len(names)  # type: ignore[list-item]
    if isinstance(density, Mapping):
        unknown = [name for name in density if name not in names]
        missing = [name for name in names if name not in density]
        if unknown or missing:
            raise NetworkError(
                f"density names the layers {', '.join(map(repr, density))}; the network has "
                f"{', '.join(map(repr, names))}: give one for each"
            )
        return [density[name] for name in names]
    if isinstance(density, str) or not isinstance(density, (Sequence, np.ndarray)):
        raise NetworkError(
            f"density is {density!r}; it must be a number, a sequence or mapping with one for each layer, or None"
        )
    if len(density) != len(names):
        raise NetworkError(f"density has {len(density)} values for {len(names)} layers; give one for each layer")
    return list(density)


def is_number(value: object) -> bool:
    """Tell numbers from what Python takes for one."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def checked(density: object, label: str) -> float:
    """Return a density, or raise `NetworkError` if it is not above 0 and at most 1."""
    if not is_number(density) or not 0 < float(density) <= 1:  # type: ignore[arg-type]
        raise NetworkError(f"density of {label} is {density!r}; it must be above 0 and at most 1")
    return float(density)  # type: ignore[arg-type]
