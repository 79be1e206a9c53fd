"""The plain integer reference: the arithmetic contract with no packing, no tiling and no device."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.fixed_point import as_activations, finish
from eie.network.model import Layer, Model


def reference(model: Model, activations: ArrayLike) -> NDArray[np.int16]:
    """Compute a model in exact integer arithmetic.

    Parameters
    ----------
    model : Model
    activations : array_like, shape (B, C), int16
        Input in the model's fixed point.

    Returns
    -------
    ndarray, shape (B, R of the last layer), int16
    """
    a = as_activations(activations, model.columns)
    for layer in model.layers:
        a = reference_layer(layer, a)
    return a


def reference_layer(layer: Layer, activations: NDArray[np.int16]) -> NDArray[np.int16]:
    """Compute one layer: int16, shape (B, C) -> int16, shape (B, R)."""
    a = activations.astype(np.int64)
    weights = layer.codebook.astype(np.int64)[layer.codes]
    accumulators = np.zeros((len(a), layer.rows), np.int64)
    for column in range(layer.columns):
        span = slice(layer.column_starts[column], layer.column_starts[column + 1])
        accumulators[:, layer.row_indices[span]] += a[:, column, None] * weights[span]
    return finish(accumulators + layer.bias, layer.shift, layer.relu)
