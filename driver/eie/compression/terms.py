"""How many terms each layer has: as asked for, or by the loss that 15 shared values cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eie.compression.codebooks import TERMS, holds
from eie.compression.compensation import compensate
from eie.compression.least_squares import LeastSquares
from eie.data.frozen_random import frozen_random
from eie.errors import NetworkError

Terms = int | str | Sequence[int] | Mapping[str, int]

TOLERATED = 2.0
"""Most of the loss that "loss" leaves, in units of what two terms in every layer would leave: 3 dB."""

_SAMPLED_ROWS = 64


class _Recipe(Protocol):
    @property
    def sharing(self) -> str: ...

    @property
    def effort(self) -> str: ...

    @property
    def row_scales(self) -> bool | None: ...


def plain_terms(terms: Terms) -> Any:
    """Return what is asked for as JSON has it, or raise `NetworkError` if it cannot be."""
    if isinstance(terms, Mapping):
        return {name: _checked(number, f"layer {name!r}") for name, number in terms.items()}
    if isinstance(terms, str):
        if terms != "loss":
            raise NetworkError(f'terms is {terms!r}; it must be 1, 2 or "loss", or one number for each layer')
        return terms
    if isinstance(terms, (Sequence, np.ndarray)):
        return [_checked(number, f"layer {i}") for i, number in enumerate(terms)]
    return _checked(terms, "the network")


def given_terms(terms: Any, names: Sequence[str]) -> list[int]:
    """Return the number of terms of each layer, of what `plain_terms` returned. A mapping may leave layers out: 1."""
    if isinstance(terms, Mapping):
        unknown = [name for name in terms if name not in names]
        if unknown:
            raise NetworkError(f"terms names {unknown[0]!r}; the layers are {', '.join(map(repr, names))}")
        return [terms.get(name, 1) for name in names]
    if isinstance(terms, list):
        if len(terms) != len(names):
            raise NetworkError(f"terms has {len(terms)} values for {len(names)} layers; give one for each layer")
        return terms
    return [terms] * len(names)


def terms_by_loss(
    tasks: Sequence[LeastSquares],
    weights: Sequence[NDArray[np.float32]],
    counts: Sequence[int | None],
    recipe: _Recipe,
) -> list[int]:
    """Return the number of terms of each layer, measured on rows drawn at random.

    Second terms go where they save the most loss for their work, until `TOLERATED` is kept.

    Parameters
    ----------
    tasks : sequence of LeastSquares
        Importances are those at the end of the network.
    weights : sequence of ndarray, shape (R, C), float32
    counts : sequence of int or None
        Weights kept.
    recipe : Recipe
    """
    losses = np.array([_losses(*layer, recipe) for layer in zip(tasks, weights, counts, strict=True)])
    kept = [int(np.count_nonzero(w)) if count is None else count for w, count in zip(weights, counts, strict=True)]
    gains = (losses[:, 0] - losses[:, 1]) / np.maximum(kept, 1)
    terms, left, limit = [1] * len(tasks), losses[:, 0].sum(), TOLERATED * losses[:, 1].sum()
    for layer in np.argsort(-gains, kind="stable").tolist():
        if left <= limit or gains[layer] <= 0:
            break
        terms[layer] = 2
        left += losses[layer, 1] - losses[layer, 0]
    return terms


def _losses(task: LeastSquares, weight: NDArray[np.float32], count: int | None, recipe: _Recipe) -> tuple[float, float]:
    """Return a layer's loss with one term and with two."""
    rows = len(weight)
    chosen = np.sort(frozen_random(0).permutation(rows)[:_SAMPLED_ROWS]).astype(np.intp)
    part, scale = task.of_rows(chosen), rows / len(chosen)
    keep = None if count is None else max(1, round(count * weight[chosen].size / weight.size))
    if keep is None and holds(weight[weight != 0], 1):
        return 0.0, 0.0
    found = []
    for terms in TERMS:
        tell, options = (lambda stage: None), (terms, recipe.row_scales)
        result = compensate(part, weight[chosen], keep, recipe.sharing, recipe.effort, tell, *options)
        found.append(scale * part.loss(result.shared))
    return found[0], min(found)


def _checked(number: object, label: str) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or int(number) not in TERMS:
        raise NetworkError(f"terms of {label} is {number!r}; it must be 1 or 2")
    return int(number)
