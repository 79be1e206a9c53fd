"""The operators of a graph, one module a family: `OPERATORS` holds all, `LINEAR` those that the array multiplies."""

from eie.network.operators import elementwise, movement, pooling, quantisation, recurrent, reduction
from eie.network.operators.linear import LINEAR
from eie.network.operators.table import OPERATORS, Operator

__all__ = [
    "LINEAR",
    "OPERATORS",
    "Operator",
    "elementwise",
    "movement",
    "pooling",
    "quantisation",
    "recurrent",
    "reduction",
]
