"""The operators of a graph, one module a family: `OPERATORS` holds all, `LINEAR` those that the array multiplies."""

from eie.network.operators import (
    convolution,
    detection,
    elementwise,
    indexing,
    movement,
    pooling,
    quantisation,
    recurrent,
    reduction,
    resizing,
    sequences,
    signal,
)
from eie.network.operators.linear import LINEAR
from eie.network.operators.table import OPERATORS, Operator

__all__ = [
    "LINEAR",
    "OPERATORS",
    "Operator",
    "convolution",
    "detection",
    "elementwise",
    "indexing",
    "movement",
    "pooling",
    "quantisation",
    "recurrent",
    "reduction",
    "resizing",
    "sequences",
    "signal",
]
