"""Which inputs of a network are sent to the array: from the first to the last that some weight multiplies.

Pruning empties columns of the first layer too, most of them at its ends: the margins of a picture. Leaving out those
between as well would cost the host more than the array gains: an inference would be copied in many short runs.
"""

from __future__ import annotations

import numpy as np

from eie.contract.config import ArrayConfig
from eie.network.model import Layer, Model
from eie.network.unused import select


def sent_inputs(layer: Layer, config: ArrayConfig) -> range:
    """Return the range of a layer's inputs that is sent; all of them if that saves no activation group."""
    used = [np.flatnonzero(np.diff(term.column_starts)) for term in layer.terms]
    both = np.concatenate([*used, [] if any(map(len, used)) else [0]]).astype(np.intp)
    sent = range(int(both.min()), int(both.max()) + 1)
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
