"""Gradient descent that needs numpy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_FIRST, _SECOND = 0.9, 0.99
_WARM_UP = 20


class Adam:
    """Adam (Kingma and Ba, 2015) with a rate for each parameter.

    Parameters
    ----------
    parameters : sequence of ndarray
        They are moved in place.
    rates : sequence of ndarray
        The largest step of each number.
    """

    def __init__(self, parameters: Sequence[Floats], rates: Sequence[Floats]) -> None:
        self.parameters, self.rates = list(parameters), rates
        self._means = [np.zeros_like(p) for p in parameters]
        self._squares = [np.zeros_like(p) for p in parameters]
        self._count = 0

    def step(self, gradients: Sequence[Floats], factor: float) -> None:
        """Move the parameters by this share of their rates, or so; not at all if a gradient has left the floats."""
        if not all(np.isfinite(gradient).all() for gradient in gradients):
            return
        self._count += 1
        factor /= 1 - _FIRST**self._count
        moments = zip(self.parameters, gradients, self._means, self._squares, self.rates, strict=True)
        for parameter, gradient, mean, square, rate in moments:
            mean += (1 - _FIRST) * (gradient - mean)
            square += (1 - _SECOND) * (gradient * gradient - square)
            size = np.sqrt(square / (1 - _SECOND**self._count)) + np.finfo(parameter.dtype).tiny
            parameter -= factor * rate * mean / size


def schedule(step: int, steps: int) -> float:
    """Return the share of the peak rate: it warms up, and falls along a half cosine."""
    return min(1.0, (step + 1) / _WARM_UP) * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
