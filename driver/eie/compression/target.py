"""The density that a target asks for: the smallest that keeps an SQNR, the largest that fits a file's size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from eie.errors import NetworkError

LOWEST = 0.005
"""Least density of a network that is tried."""

_STEPS = 7
"""Halvings of the range from there to 1: to within 5 %."""

Result = TypeVar("Result")


def smallest_density(attempt: Callable[[float], Result], figure: Callable[[Result], float], target: float) -> Result:
    """Return what the smallest density gives whose figure is not below the target; the figure grows with the density.

    Raises
    ------
    NetworkError
        If even density 1 stays below it.
    """
    best = attempt(1.0)
    if figure(best) < target:
        raise NetworkError(
            f"target_sqnr is {target:g} dB; this network reaches {figure(best):.1f} dB with all of its weights: "
            "15 shared values and 16 bits are what it then loses by; ask for less, or for terms=2"
        )
    return _halve(attempt, lambda result: figure(result) >= target, best, passing=1.0, failing=LOWEST)


def largest_density(attempt: Callable[[float], Result], figure: Callable[[Result], float], target: float) -> Result:
    """Return what the largest density gives whose figure is not above the target; the figure grows with the density.

    Raises
    ------
    NetworkError
        If even the least density stays above it.
    """
    best = attempt(LOWEST)
    if figure(best) > target:
        raise NetworkError(
            f"target_size is {target:,g} bytes; with {LOWEST:.1%} of its weights this network still takes "
            f"{figure(best):,.0f}: biases, codebooks and the header do not shrink; ask for more"
        )
    return _halve(attempt, lambda result: figure(result) <= target, best, passing=LOWEST, failing=1.0)


def _halve(
    attempt: Callable[[float], Result], passes: Callable[[Result], bool], best: Result, passing: float, failing: float
) -> Result:
    """Close in on the density where the target is just kept, by ratios."""
    for _ in range(_STEPS):
        middle = (passing * failing) ** 0.5
        result = attempt(middle)
        if passes(result):
            best, passing = result, middle
        else:
            failing = middle
    return best
