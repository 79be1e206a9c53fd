"""Layers of a trained network beside random ones of the same density: what randomness leaves out.

Trained weights gather in some rows and columns. That changes padding and balance, which Table IV's times depend on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.contract.config import ArrayConfig
from eie.contract.fixed_point import as_activations
from eie.cycle_model.layers import LayerCycles, cycles
from eie.data.frozen_random import frozen_random
from eie.network.model import Layer, Model
from eie.network.reference import reference_layer
from eie.paper.benchmarks import random_layer


def compare_with_random(model: Model, activations: ArrayLike, config: ArrayConfig, seed: int = 1) -> list[dict]:
    """Return what each layer of a model, and a random one like it, costs on an array.

    Parameters
    ----------
    model : Model
    activations : array_like, shape (B, C), int16
    config : ArrayConfig
    seed : int
        Of the random layers, which have the layer's shape and density; their vectors are the real ones, shuffled.

    Returns
    -------
    list of dict
        Per layer its name, shape and densities; how many products the vectors make over what the densities alone would
        make; and under "real" and "random" cycles, padding, load balance and utilisation.
    """
    a = as_activations(activations, model.columns)
    rng = frozen_random(seed)
    results = []
    for layer in model.layers:
        alike, _ = random_layer(layer.name, layer.rows, layer.columns, layer.density, 1.0, seed)
        results.append(
            {
                "name": layer.name,
                "rows": layer.rows,
                "columns": layer.columns,
                "weight_density": layer.density,
                "activation_density": float(np.count_nonzero(a) / a.size),
                "products_over_density": _products(layer, a) / (layer.nonzeros * np.count_nonzero(a) / layer.columns),
                "pes": config.num_pes,
                "real": _measure(layer, a, config),
                "random": _measure(alike, np.array([rng.permutation(vector) for vector in a]), config),
            }
        )
        a = reference_layer(layer, a)
    return results


def _measure(layer: Layer, a: NDArray[np.int16], config: ArrayConfig) -> dict[str, Any]:
    # Deep enough that the number of PEs alone tells the arrays apart.
    rows = max(config.rows, 1 << (-(-layer.rows // config.num_pes) - 1).bit_length())
    (cost,) = cycles(layer, a, replace(config, rows=rows))
    return {
        "cycles_per_vector": cost.cycles / len(a),
        "padding": padding_share(cost),
        "load_balance": cost.load_balance,
        "utilisation": cost.utilisation,
    }


def _products(layer: Layer, a: NDArray[np.int16]) -> int:
    return int(np.count_nonzero(a, axis=0) @ np.diff(layer.column_starts))


def padding_share(cost: LayerCycles) -> float:
    """Return padding entries over all entries."""
    work, padding = int(cost.work.sum()), int(cost.padding.sum())
    return padding / max(1, work + padding)
