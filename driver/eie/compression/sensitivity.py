"""What an error of each unit costs at the output of the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eie.compression.forward import forward_pruned
from eie.data.frozen_random import frozen_random
from eie.network.model import Dense

_SAMPLES = 1024
_FLOOR = 1e-3
"""Least importance of a row, in units of the layer's mean: a unit that no calibration input makes fire may fire yet."""


def importances(layers: Sequence[Dense], inputs: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return for every row of every layer the mean squared change of the network's output over its own small change.

    Parameters
    ----------
    layers : sequence of Dense
    inputs : ndarray, shape (B, C), float32

    Returns
    -------
    list of ndarray, shape (R,), float64
        Sums of squares over the outputs, estimated by one random combination of them for each input (Hutchinson's
        estimator), carried back through the layers.
    """
    activations, x = [], inputs[:: -(-len(inputs) // _SAMPLES)]
    for layer in layers:
        x = forward_pruned(x, layer.weight, None, layer.bias, layer.activation == "relu")
        activations.append(x)
    signs = frozen_random(0).random_sample(x.shape) < 0.5
    gradient = np.where(signs, np.float32(-1), np.float32(1))
    result = []
    for layer, outputs in zip(reversed(layers), reversed(activations), strict=True):
        if layer.activation == "relu":
            gradient = gradient * (outputs > 0)
        squares = np.mean(gradient.astype(np.float64) ** 2, axis=0)
        floor = _FLOOR * float(squares.mean()) or 1.0
        result.append(np.maximum(squares, floor))
        gradient = gradient @ layer.weight
    return result[::-1]
