"""Which inputs of a network are sent to the array: from the first to the last that some weight multiplies.

Pruning empties columns of the first layer too, most of them at its ends: the margins of a picture. Leaving out those
between as well would cost the host more than the array gains: an inference would be copied in many short runs.
"""

from __future__ import annotations

import numpy as np

from eie.contract.config import ArrayConfig
from eie.network.model import Layer, Model
from eie.network.unused import columns_read, select


def sent_inputs(layer: Layer, config: ArrayConfig) -> range:
    """Return the range of a layer's inputs that is sent; all of them if that saves no activation group."""
    read = np.flatnonzero(columns_read(layer, np.ones(layer.rows, bool)))
    sent = range(int(read[0]), int(read[-1]) + 1)
    return sent if _groups(len(sent), config) < _groups(layer.columns, config) else range(layer.columns)


def with_inputs(model: Model, inputs: range) -> Model:
    """Return a model of a range of its inputs."""
    first, *others = model.layers
    if len(inputs) == first.columns:
        return model
    kept = np.zeros(first.columns, bool)
    kept[inputs.start : inputs.stop] = True
    return Model([select(first, np.ones(first.rows, bool), kept), *others], model.name, model.metadata)


def _groups(columns: int, config: ArrayConfig) -> int:
    return -(-columns // config.lanes)
